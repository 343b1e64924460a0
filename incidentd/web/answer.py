"""What an error is answered with: a problem for programs; a page for people, who get the way in if not let in."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from incidentd.errors import StoreError
from incidentd.web import pages
from incidentd.web.problem import REQUEST_ID, ProblemResponse, problem_of
from incidentd.web.render import render

_FOR_PROGRAMS = re.compile(r"/(api|-|slack|pagerduty|static)(/.*)?|/metrics|/openapi\.json")
_UNAUTHORIZED, _NOT_FOUND = 401, 404
_ASKING = frozenset({"GET", "HEAD"})


def answer_of(scope: Scope, error: Exception) -> Response:
    """The answer to a request that came to this error."""
    request = Request(scope)
    problem = problem_of(scope, error)
    if "text/html" not in request.headers.get("accept", "") or _FOR_PROGRAMS.fullmatch(request.url.path):
        return problem
    if problem.status_code == _UNAUTHORIZED:
        wanted = request.url.path if request.method == "GET" else ""
        return pages.sign_in_page(_UNAUTHORIZED, wanted=wanted)
    if isinstance(error, StoreError):
        return _away(request, problem)
    content = problem.content
    return render(
        "problem.html",
        problem.status_code,
        missing=problem.status_code == _NOT_FOUND,
        title=content["title"],
        detail=content["detail"],
        errors=content.get("errors", []),
        request_id=scope.get(REQUEST_ID, ""),
        back=_page_of(request.url.path),
    )


def _away(request: Request, problem: ProblemResponse) -> Response:
    """The page without the database: it knows nothing of incidents, and says what holds all the same."""
    answer = render(
        "away.html",
        problem.status_code,
        asked=request.method in _ASKING,
        back=_page_of(request.url.path),
        request_id=request.scope.get(REQUEST_ID, ""),
    )
    answer.headers["retry-after"] = "1"
    return answer


def _page_of(path: str) -> str:
    """The page to go back to: the incident's, where an action on it failed."""
    found = re.match(r"/incidents/[0-9a-f-]{1,36}(?=/)", path)
    return found[0] if found else "/"
