"""Mail and webhooks among the destinations, their secrets and templates; each fault with file, line and row."""

from pathlib import Path

import pytest

from incidentd.classify import load
from incidentd.errors import RulesError
from incidentd.keyring import Keyring
from incidentd.settings import Settings
from tests.classify.ground import DESTINATIONS, faults, rules, texts

MAIL = "more: {kind: email, from: a@example.com, to: b@example.com%s}\n"
HOOK = "more: {kind: webhook%s}\n"
URL = ", url: 'https://hooks.example.com/a'"
SECRET = "c4n4rysecretc4n4rysecretc4n4ryab"
TEMPLATE = "templates/mine.json.j2"

FAULTS = {
    "recipient_missing": ("more: {kind: email, from: a@example.com}\n", "to is missing"),
    **{
        f"sender_is_no_address_{number}": (
            f"more: {{kind: email, from: {sender}, to: b@example.com}}\n",
            f"from '{sender}' is not an address such as incidents@example.com",
        )
        for number, sender in enumerate(
            ("a..b@example.com", ".a@example.com", "a.@example.com", "a@b..c", "a@.b", f"{'a' * 65}@b")
        )
    },
    "sender_missing": ("more: {kind: email, to: a@example.com}\n", "from is missing"),
    "recipient_is_none": (
        "more: {kind: email, from: a@example.com, to: [b@example.com, nobody]}\n",
        "to 'nobody' is not an address such as incidents@example.com",
    ),
    "recipient_on_two_lines": (
        'more: {kind: email, from: a@example.com, to: "b@example.com\\nBcc: c@example.com"}\n',
        "to 'b@example.com\\nBcc: c@example.com' is not an address such as incidents@example.com",
    ),
    "recipient_twice": (
        "more: {kind: email, from: a@example.com, to: [b@example.com, b@example.com]}\n",
        "to names 'b@example.com' twice",
    ),
    "mail_password_in_the_file": (
        MAIL % f", server: 'smtp://user:{SECRET}@mail.example.com'",
        "server is not a variable INCIDENTD_…, or a server such as smtp://mail.example.com:587"
        " without user and password",
    ),
    "mail_server_without_scheme": (
        MAIL % ", server: mail.example.com",
        "server must name a variable INCIDENTD_…, never hold the secret",
    ),
    "mail_in_digests": (MAIL % ", per_minute: 9, one_by_one: 2", "email can't tell several incidents in one message"),
    "url_missing": (HOOK % "", "url is missing"),
    "url_with_password": (
        HOOK % f", url: 'https://user:{SECRET}@hooks.example.com'",
        "url is not a variable INCIDENTD_…, or an address such as https://hooks.example.com/incidents"
        " without user and password",
    ),
    "url_of_another_scheme": (
        HOOK % ", url: 'file:///etc/passwd'",
        "url is not a variable INCIDENTD_…, or an address such as https://hooks.example.com/incidents"
        " without user and password",
    ),
    "method_unknown": (HOOK % f"{URL}, method: DELETE", "method 'DELETE' is not one of POST, PUT, PATCH"),
    "signing_secret_in_the_file": (
        HOOK % f"{URL}, secret: whsec_{SECRET}",
        "secret must name a variable INCIDENTD_…, never hold the secret",
    ),
    "header_without_name": (
        HOOK % f"{URL}, headers: {{'a b': c}}",
        "headers: 'a b' is no header's name, or incidentd's own",
    ),
    "header_of_ours": (
        HOOK % f"{URL}, headers: {{Webhook-Id: c}}",
        "headers: 'Webhook-Id' is no header's name, or incidentd's own",
    ),
    "header_on_two_lines": (
        HOOK % (URL + ', headers: {A: "b\\r\\nC: d"}'),
        "headers: A: a value is plain text on one line, and names a secret as ${INCIDENTD_…}",
    ),
    "header_of_no_variable": (
        HOOK % (URL + ", headers: {Authorization: 'Bearer ${HOME}'}"),
        "headers: Authorization: a value is plain text on one line, and names a secret as ${INCIDENTD_…}",
    ),
    "header_twice": (HOOK % f"{URL}, headers: {{A: b, a: c}}", "headers names 'a' twice"),
    "template_unknown": (
        HOOK % f"{URL}, template: mien.json.j2",
        "template 'mien.json.j2' is no file of templates/: did you mean 'mine.json.j2'?",
    ),
    "update_without_reference": (
        HOOK % f"{URL}, update_url: 'https://a.example/{{reference}}'",
        "update_url counts only together with reference",
    ),
    "update_template_without_url": (
        HOOK % f"{URL}, reference: key, update_template: mine.json.j2",
        "update_template counts only together with update_url",
    ),
    "update_url_without_the_reference": (
        HOOK % f"{URL}, reference: key, update_url: 'https://a.example/b'",
        "update_url holds no {reference}, where the receiver's own goes in",
    ),
    "update_url_with_other_braces": (
        HOOK % f"{URL}, reference: key, update_url: '{{url}}/{{reference}}/{{title}}'",
        "update_url holds braces other than those of {url} at its beginning and {reference}",
    ),
    "reference_is_no_field": (
        HOOK % f"{URL}, reference: 'a b'",
        "reference 'a b' is not a field of the answer, such as key or issue.number",
    ),
    "optional_without_variable": (
        HOOK % f"{URL}, optional: true",
        "optional counts only where a variable is named: this one always is there",
    ),
    "optional_perhaps": (HOOK % f"{URL}, optional: perhaps", "optional 'perhaps' is unknown"),
    "field_of_another_kind": (HOOK % f"{URL}, to: a@example.com", "unknown field 'to'"),
    "fallback_of_a_mail": (MAIL % ", fallback: page", "fallback 'page' pages: a fallback is a place where people read"),
}


def broken(more: str, template: str = "{{ headline | tojson }}") -> list[str]:
    return faults({**texts(destinations=DESTINATIONS + more), TEMPLATE: template})


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named_exactly(name: str) -> None:
    more, cause = FAULTS[name]
    found = broken(more)
    assert f"destinations.yaml:3: [more] {cause}" in found
    assert len(found) <= 2
    assert SECRET not in "".join(found)


TEMPLATE_FAULTS = {
    "unclosed": ("{\n{{ headline | tojson }", ":2: is no Jinja2: unexpected '}'"),
    "name_unknown": ('{"a":\n{{ titel | tojson }}}', ":2: can't be filled in: 'titel' is undefined"),
    "field_unknown": (
        "\n{{ incident.titel | tojson }}",
        ":2: can't be filled in: there is no 'titel'",
    ),
    "only_with_alerts": (
        "{{ alerts[0].labels.alertname | tojson }}",
        ":1: can't be filled in: there is no 0",
    ),
    "not_escaped": (
        '{"title": "{{ headline }}"}',
        ":1: makes no JSON where a text holds quotes or line breaks: put each value through | tojson",
    ),
    "no_json": ("P0", ":1: makes no JSON where a text holds quotes or line breaks"),
    "out_of_the_sandbox": ("{{ ''.__class__ }}", ":1: can't be filled in: access to attribute '__class__' of 'str'"),
    "too_long": ("{% for i in range(99999) %}{{ headline | tojson }}{% endfor %}", ":1: makes more than 262,144"),
    "includes_another": (
        '{% include "a.json.j2" %}',
        ":1: can't be filled in: a template can't include",
    ),
    "divides_by_zero": ("{{ 1 / 0 }}", ":1: can't be filled in: a division by zero"),
    "calls_itself": ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", ":1: can't be filled in: it calls itself"),
    "adds_a_number_to_a_text": ("{{ headline + 1 }}", ":1: can't be filled in: a value of a kind that this can't"),
    "no_filter": ("{{ headline | json }}", ":1: is no Jinja2: no filter named 'json'"),
}


@pytest.mark.parametrize("name", TEMPLATE_FAULTS)
def test_a_fault_of_a_template_is_named_with_its_line_though_nobody_uses_it(name: str) -> None:
    text, expected = TEMPLATE_FAULTS[name]
    (found,) = broken("", text)
    assert found.startswith(TEMPLATE + expected)


def test_a_template_says_by_its_name_what_it_makes() -> None:
    files = {**texts(), "templates/mine.html.j2": "x"}
    assert faults(files) == ["templates/mine.html.j2:1: is named neither *.json.j2 nor *.txt.j2"]
    assert faults({**texts(), "templates/mine.txt.j2": "{{ headline }}"}) == []


def test_templates_are_part_of_the_folder_and_of_the_version(tmp_path: Path) -> None:
    for name, text in {**texts(), TEMPLATE: "{}"}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    before = load(tmp_path)
    assert before.files[TEMPLATE] == "{}"
    (tmp_path / TEMPLATE).write_text("[]")
    assert load(tmp_path).version != before.version
    (tmp_path / TEMPLATE).write_bytes(b"\xff")
    with pytest.raises(RulesError, match=r"templates/mine\.json\.j2:1: is not UTF-8"):
        load(tmp_path)


FULL = """\
more:
  kind: webhook
  url: [INCIDENTD_TICKETS_URL, INCIDENTD_TICKETS_OLD_URL]
  secret: INCIDENTD_TICKETS_SECRET
  headers: {Authorization: "Basic ${INCIDENTD_TICKETS_TOKEN}", Accept: application/json}
"""


def test_every_variable_is_known_and_each_is_needed() -> None:
    table = rules(destinations=DESTINATIONS + FULL)
    spec = table.destinations["more"]
    names = {f"INCIDENTD_TICKETS_{each}" for each in ("URL", "OLD_URL", "SECRET", "TOKEN")}
    assert spec.variables == names
    assert names < table.secret_names
    environ = dict.fromkeys(
        ("INCIDENTD_TICKETS_OLD_URL", "INCIDENTD_TICKETS_SECRET", "INCIDENTD_TICKETS_TOKEN"), SECRET
    )
    found = Keyring(Settings.model_validate({}), environ).destination(spec)
    assert found
    assert (found.secret, found.further, found.headers["Authorization"]) == (
        SECRET,
        {"secret": SECRET},
        f"Basic {SECRET}",
    )
    assert SECRET not in repr(found)
    for name in environ:
        left = {each: value for each, value in environ.items() if each != name}
        assert Keyring(Settings.model_validate({}), left).destination(spec) is None
        assert len(spec.lacks(left)) == 1


def test_mail_and_webhooks_never_page_and_need_no_variable_where_their_address_stands_there() -> None:
    mail = MAIL.replace("more", "mail") % ", server: 'smtp://mail.example.com:587'"
    table = rules(destinations=DESTINATIONS + mail + HOOK % URL)
    for name, address in {"mail": "smtp://mail.example.com:587", "more": "https://hooks.example.com/a"}.items():
        spec = table.destinations[name]
        assert (spec.pages, spec.variables, spec.lacks(())) == (False, frozenset(), ())
        found = Keyring(Settings.model_validate({}), {}).destination(spec)
        assert found
        assert (found.secret, found.bucket.partition(":")[0]) == (address, spec.kind)


def test_mail_without_a_server_of_its_own_takes_the_usual_variable() -> None:
    spec = rules(destinations=DESTINATIONS + MAIL % ", optional: true").destinations["more"]
    assert (spec.secret_names, spec.optional) == (("INCIDENTD_SMTP_URL",), True)
