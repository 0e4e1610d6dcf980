"""`sprat dlq`: what could not be handled: see it, count it, send it again."""

from sprat.cli.dlq.listing import COUNT, LIST, count_letters, list_letters
from sprat.cli.dlq.replaying import EPILOG as REPLAY
from sprat.cli.dlq.replaying import replay
from sprat.cli.dlq.showing import EPILOG as SHOW
from sprat.cli.dlq.showing import show
from sprat.cli.plain import group_help, plain_app

app = plain_app(
    no_args_is_help=True,
    help="See what could not be handled, and replay it.",
    epilog=group_help("dlq", "count --since 1d", "list --service intent", "show 3:17", "replay 3:17 --yes"),
)
app.command("list", epilog=LIST, short_help="List dead letters, a line each.")(list_letters)
app.command("count", epilog=COUNT, short_help="Count them by reason, service, time.")(count_letters)
app.command("show", epilog=SHOW, short_help="Show one: headers, reason, original with personal data masked.")(show)
app.command("replay", epilog=REPLAY, short_help="Send originals again, to the service that failed.")(replay)
