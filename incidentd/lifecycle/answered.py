"""From what a batch answers to what one action is told."""

from concurrent.futures import CancelledError, Future

from incidentd.errors import NotFoundError
from incidentd.lifecycle.work import ActionResult
from incidentd.lifecycle.write import Answer


def unwrapped(future: "Future[Answer]") -> "Future[ActionResult]":
    """A refusal, which harms no other item of its batch, becomes this action's error."""
    outer: Future[ActionResult] = Future()

    def done(inner: "Future[Answer]") -> None:
        if not outer.set_running_or_notify_cancel():
            return
        error = CancelledError() if inner.cancelled() else inner.exception()
        answer = None if error else inner.result()
        if isinstance(answer, ActionResult):
            outer.set_result(answer)
        else:
            refusal = answer if isinstance(answer, Exception) else NotFoundError("there is no such incident")
            outer.set_exception(error or refusal)

    future.add_done_callback(done)
    outer.add_done_callback(lambda asked: future.cancel() if asked.cancelled() else None)
    return outer
