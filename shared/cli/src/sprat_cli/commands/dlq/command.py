"""`sprat dlq`: list, count, show and replay what could not be handled."""

from sprat_cli.app import group_help, make_app
from sprat_cli.commands.dlq.listing import COUNT, LIST, count_letters, list_letters
from sprat_cli.commands.dlq.replay import EPILOG as REPLAY
from sprat_cli.commands.dlq.replay import replay
from sprat_cli.commands.dlq.show import EPILOG as SHOW
from sprat_cli.commands.dlq.show import show

app = make_app(
    no_args_is_help=True,
    help="Show what could not be handled, and replay it.",
    epilog=group_help("dlq", "count --since 1d", "list --service intent", "show 3:17", "replay 3:17 --yes"),
)
app.command("list", epilog=LIST, short_help="List dead letters, a line each.")(list_letters)
app.command("count", epilog=COUNT, short_help="Count them by reason, service, time.")(count_letters)
app.command("show", epilog=SHOW, short_help="Show one: headers, reason, original with personal data masked.")(show)
app.command("replay", epilog=REPLAY, short_help="Send originals again, to the service that failed.")(replay)
