import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.sandbox.mrkdwn import mrkdwn, plain

USERS = {"U0ANNABERG": "Anna Berg"}
LINK = '<a href="https://e.org/a_b_c?x=1&amp;y=2" target="_blank" rel="noopener noreferrer">'


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("*bold* _it_ ~gone~", "<strong>bold</strong> <em>it</em> <s>gone</s>"),
        ("2*3*4 snake_case_name", "2*3*4 snake_case_name"),
        ("`a *b*`", "<code>a *b*</code>"),
        ("```\nx <b>\n```", "<pre>x &lt;b&gt;</pre>"),
        ("one\ntwo", "one<br>two"),
        ("&gt; said", "<q>said</q>"),
        ("&lt;script&gt; &amp;amp;", "&lt;script&gt; &amp;amp;"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<https://e.org/a_b_c?x=1&amp;y=2|Run *book*>", LINK + "Run *book*</a>"),
        ("<javascript:alert(1)|Runbook>", "&lt;javascript:alert(1)|Runbook&gt;"),
        ("<data:text/html,x>", "&lt;data:text/html,x&gt;"),
        ("<//evil|x>", "&lt;//evil|x&gt;"),
        ("<@U0ANNABERG>", '<span class="mention">@Anna Berg</span>'),
        ("<@U0UNKNOWN>", '<span class="mention">@U0UNKNOWN</span>'),
        ("<!here> <!subteam^S1|@oncall>", '<span class="mention">@here</span> <span class="mention">@oncall</span>'),
        ("<#C1|incidents>", '<span class="mention">#incidents</span>'),
        (
            "<!date^1767614400^{date_num} {time}|x>",
            '<time datetime="2026-01-05T12:00:00+00:00" title="UTC">2026-01-05 12:00</time>',
        ),
        ("<!date^junk^{time}|at noon>", "at noon"),
        (":rotating_light: :no_such_thing:", "🚨 :no_such_thing:"),
        ("\x000\x00", "0"),
    ],
)
def test_mrkdwn_becomes_what_slack_shows(source: str, html: str) -> None:
    assert mrkdwn(source, USERS) == html


def test_plain_text_has_no_markup() -> None:
    assert plain("*a* <https://e.org>\n:fire:") == "*a* &lt;https://e.org&gt;<br>🔥"


@given(st.text(alphabet="<>&|\"'`*_~:@!#^ {}\n\x00abhttps/:1", max_size=60))
def test_whatever_is_written_only_known_tags_come_out(source: str) -> None:
    html = str(mrkdwn(source))
    for piece in html.split("<")[1:]:
        tag = piece.partition(">")[0].partition(" ")[0]
        assert tag.removeprefix("/") in {"strong", "em", "s", "code", "pre", "br", "q", "a", "span", "time"}
    assert "javascript" not in html
