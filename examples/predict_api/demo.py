"""Shows Flask-Rampart at work: starts the API, sends it good and hostile requests, prints what each got.

python -m examples.predict_api.demo            # ends by itself; exit code 0 only if all was as it must be
python -m examples.predict_api.demo --serve    # leaves the API running, and says how to call it
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

# Run as a file, Python looks for modules in this folder alone; the repository's root is two above.
if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.predict_api import logs, report
from examples.predict_api.attacks import SCRIPT
from examples.predict_api.attempts import Result, run
from examples.predict_api.client import at_once
from examples.predict_api.scene import TICKET, Scene
from examples.predict_api.server import WORKERS, Person, Server, ServerError
from examples.predict_api.watching import Watched, watch

# Lines of the app that were written with a secret in them, by what stands before the secret; and the one that says
# that somebody is banned, and not who.
APP_LINES = ("sign-in accepted for", "sign-in refused for", "Banned by address for", "?password=", "client_secret=")
# What of all this the monitor must have noticed. What takes hours, or weeks, is shown in this process (watching).
SEEN = {"password_guessing", "path_scanning", "refresh_reuse", "schema_probing"}


def main() -> int:
    """The exit code: 0 if each attempt got what it must, 1 if not, 2 if the server did not start."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="leave the API running afterwards")
    parser.add_argument("--port", type=int, default=0, help="where to listen; a free port if not given")
    options = parser.parse_args()
    # A terminal that cannot show a tick gets a question mark, not a traceback.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace", line_buffering=True)
    # To be stopped from outside is like Ctrl-C: the server is stopped first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Server(options.port) as server:
            try:
                good = perform(server)
            except Exception:
                print(f"The server said last:\n{server.tail()}", file=sys.stderr)
                raise
            if options.serve:
                serve(server)
            return 0 if good else 1
    except (ServerError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def perform(server: Server) -> bool:
    """Makes all attempts, prints them, and says whether each was as it must be."""
    print(
        f"Flask-Rampart {version('flask-rampart')} in front of a text classifier: gunicorn, {WORKERS} workers, "
        f"http://127.0.0.1:{server.port}; beside it a notebook with pages, as a proxy reaches it"
    )
    scene = Scene(server)
    # Each worker has answered before: what is measured is the usual request, not a worker's first.
    at_once(8 * WORKERS, lambda: server.client.post("/predict", TICKET))
    acts = []
    for number, (title, attempts) in enumerate(SCRIPT):
        scene.enter(number)
        acts.append((title, [run(scene, attempt) for attempt in attempts]))
    results = [result for _, group in acts for result in group]

    ids = [answer.request_id for result in results for answer in result.answers]
    found = logs.access_lines([server.logs["access log"], server.logs["notebook's access log"]], ids)
    lines = {request: each[0] for request, each in found.items()}
    app = logs.app_lines(server.logs["server and app log"], *APP_LINES)

    report.heading()
    for title, group in acts:
        report.act(title)
        for result in group:
            report.row(result, lines)
    report.log_lines(results, lines, app)

    # What a worker saw in its last second, its next request counts. The command asks what the workers share.
    time.sleep(1.2)
    at_once(8 * WORKERS, lambda: server.client.get("/health"))
    told = scene.server.flask("rampart", "monitor", "recent", "--json")
    findings = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    report.findings(findings)
    watched = watch()
    report.watched(watched)

    report.act("Verdict")
    unlogged = sum(len(found.get(request, [])) != 1 for request in ids)
    unseen = SEEN - {finding["rule"] for finding in findings}
    wrong = [f"the monitor did not find {', '.join(sorted(unseen))}, which the live server met"] if unseen else []
    return conclude(scene, results, len(ids), unlogged, len(app), watched, wrong + watched.wrong)


def conclude(
    scene: Scene, results: list[Result], requests: int, unlogged: int, app: int, watched: Watched, monitor: list[str]
) -> bool:
    """Prints the last lines: what went wrong, if anything, and the verdict."""
    failed = [result for result in results if result.wrong]
    problems = [f"{len(failed)} of {len(results)} attempts were not handled as they must be"] if failed else []
    if unlogged:
        problems.append(f"{unlogged} of {requests} requests did not leave exactly one line in the access log")
    problems += monitor
    if app != len(APP_LINES):
        # Without these lines, that no secret is in them would prove nothing.
        problems.append(f"{len(APP_LINES) - app} of the app's own log lines are missing")
    if not logs.holds(scene.server.kept, scene.api_key_id):
        problems.append("the store does not have the API key's id, so that no key is in it would prove nothing")
    found = logs.leaks({**scene.server.logs, **scene.server.kept}, scene.secrets)
    problems += [f"leaked: {leak}" for leak in found]
    for problem in problems:
        report.verdict(False, problem)
    if any(answer.status >= 500 > result.attempt.status for result in results for answer in result.answers):
        print(f"The server said last:\n{scene.server.tail()}", file=sys.stderr)
    if not problems:
        report.verdict(
            True,
            f"{len(results)} attempts, {requests} requests: each handled as it must be, each in the access log once.",
        )
        report.verdict(
            True,
            f"None of {len(scene.secrets)} secrets (passwords, tokens, API keys, cookies) in a log, or in the store.",
        )
        report.verdict(
            True,
            f"{len(watched.attacks)} detectors, each triggered by its attack; ordinary traffic triggered none.",
        )
    return not problems


def serve(server: Server) -> None:
    """Says how to call the API, and waits."""
    here = f"http://127.0.0.1:{server.port}"
    json_type = "-H 'Content-Type: application/json'"

    def login(who: Person) -> str:
        return f"""curl {here}/login {json_type} -d '{{"email": "{who.email}", "password": "{who.password}"}}'"""

    print(f"\nStill running at {here}; Ctrl-C ends it. Sign in as Ada, or as Grace, who is an admin:")
    print(f"  {login(server.ada)}\n  {login(server.grace)}")
    print("Then, with the access_token that you get:")
    print(
        f"""  curl {here}/predict -H "Authorization: Bearer $TOKEN" {json_type} -d '{{"text": "my parcel is late"}}'"""
    )
    print(
        f"""  curl -N {here}/draft -H "Authorization: Bearer $TOKEN" {json_type} -d '{{"text": "my parcel is late"}}'"""
    )
    print(f"""  curl {here}/admin/stats -H "Authorization: Bearer $TOKEN" """.rstrip())
    print("and with the refresh_token, once, for the next pair:")
    print(f"""  curl {here}/refresh {json_type} -d '{{"refresh_token": "'$REFRESH'"}}'""")
    print(f"Its logs: {', '.join(str(path) for path in server.logs.values())}")
    server.wait()


if __name__ == "__main__":
    sys.exit(main())
