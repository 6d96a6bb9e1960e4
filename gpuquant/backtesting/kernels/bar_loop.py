"""The bar loop: one body for grids of rules, for signals, weights and amounts, and for orders, on
any device.

A column is one account: one asset under one row of parameters, or all assets with shared cash. It
goes over the bars once, trades (`order_sizing.py`, `execution.py`, `stops.py`,
`resting_orders.py`), marks to market, and keeps the sums that the measures need (`statistics.py`):
nothing of size bars x columns exists unless the log asks for it.

Bars go by in blocks, of one bar on a GPU. What a rule sees of the past without remembering
anything, the equity between two trades and its moments are loops over a block without a branch,
which a CPU turns into vector instructions. Only a state that rests on the one before goes bar by
bar. The account goes from one bar at which something is due to the next, unless every bar may touch
it.

Kernel source: `build.py` puts around it what is not defined here, which are the members (`decide`
and `look` of a rule, `begin`, `fill_price`, `charge`, `afford`), whose second argument 0 is the row
of their columns, and the constants of a run. A place is a bar's number in its block of BLOCK bars.
The equity of place 0 stands at PADDING in `block.equity`, the equity before the block one place
earlier. NO_CHANGE is larger than any target. ORIGIN is 1 where bar 0 has no return, because
decisions fill at a close or later: then the return of bar 1 begins with the starting cash. PLACES
is how many partial sums each moment has.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.account_bars import process_block
from gpuquant.backtesting.kernels.account_events import count_exposure
from gpuquant.backtesting.kernels.codes import NAN, NO_CHANGE
from gpuquant.backtesting.kernels.decisions import decide_block, decide_by_account
from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.path_generator import generate_path
from gpuquant.backtesting.kernels.records import (
    Account,
    Bar,
    Block,
    Decisions,
    Inputs,
    Job,
    Log,
    Moments,
    Past,
    Position,
    Prices,
    Run,
    Source,
    Table,
    Tally,
)
from gpuquant.backtesting.kernels.statistics import (
    add_still,
    join_moments,
    measure_tails,
    update_moments,
)


def update_statistics(
    run: Run,
    account: Account,
    tally: Tally,
    block: Block,
    decisions: Decisions,
    t0,
    here,
    moved,
    assets,
):
    """Measure a block that the account has gone through, and carry over what the next begins with;
    the equity at its end.
    """
    if BLOCK == 1:
        equity = block.equity[PADDING]
    else:
        equity = block.equity[here + PADDING - 1]
    if run.log.enabled:
        for q in part(BLOCK, 0, here):
            run.log.equity[run.log.column, t0 + q] = block.equity[q + PADDING]
    if ORIGIN:  # what was paid at bar 0 belongs to the return of bar 1
        if t0 == 0:
            block.equity[PADDING] = run.cash
        if t0 == 1:
            block.equity[PADDING - 1] = run.cash
            moved = moved or equity != run.cash
    if moved:
        for q in part(BLOCK, here, BLOCK):  # after the last bar nothing moves
            block.equity[q + PADDING] = equity
        update_moments(run, account, tally, block, t0, here)
    else:
        add_still(account, tally, block, equity, t0, here)
    block.equity[PADDING - 1] = equity
    if flags.at_next and not flags.resting_orders:
        for j in range(assets):
            decisions.target[j, 0] = decisions.target[j, BLOCK]
            if flags.priced:
                decisions.limit[j, 0] = decisions.limit[j, BLOCK]
                decisions.stop[j, 0] = decisions.stop[j, BLOCK]
    return equity


def open_account(
    account: Account, tally: Tally, positions: list[Position], block: Block, cash, first
):
    """An account that holds nothing but its cash, before bar `first`."""
    clear(account)
    clear(tally)
    for j in range(len(positions)):
        clear(positions[j])
    for q in unrolled(PLACES):
        clear(block.moments[q])
    account.cash = cash
    account.alive = True
    account.peak = cash
    account.peak_bar = first - 1.0
    account.trough = cash
    account.drawdown = 1.0
    account.since = first
    tally.best_return = 0.0 if first > ORIGIN else -1e300  # bars before have a return of 0
    tally.worst_return = 0.0 if first > ORIGIN else 1e300
    block.equity[PADDING - 1] = cash


def go_through(
    run: Run,
    account: Account,
    tally: Tally,
    positions: list[Position],
    block: Block,
    decisions: Decisions,
):
    """Take an account through all bars; its equity at the end."""
    assets = len(positions)
    state, first_decision = begin(run.parameters, 0)
    decides = max(min(i64(first_decision), run.bars), 0)
    begins = 0 if flags.financing else decides  # interest does not wait for a first decision
    open_account(account, tally, positions, block, run.cash, begins)
    for j in range(assets):
        decisions.target[j, 0] = NO_CHANGE
    if run.log.enabled:
        for t in range(begins):
            run.log.equity[run.log.column, t] = run.cash
    if flags.keep_returns:
        for t in range(run.bars):
            block.history[0, t] = 0.0
    equity = run.cash
    t0 = begins
    while t0 < run.bars:
        here = min(BLOCK, (run.bars if t0 >= decides else decides) - t0)
        if not flags.sees_account:
            for q in part(BLOCK, 0, here):
                past = Past(run.prices, 0, t0 + q)
                block.bars[q].seen = look(run.parameters, 0, past, F(t0 + q))
        due = u64(0)
        if t0 < decides:
            for j in range(assets):
                for q in range(BLOCK + 1):
                    decisions.target[j, q] = NO_CHANGE
        elif not (flags.resting_orders or flags.sees_account):
            state, due = decide_block(run, state, block, decisions, t0, here, assets)
        if flags.sees_account:
            block.bars[0].state = state
            due = u64(1) if t0 >= decides else u64(0)
        moved = process_block(run, account, tally, positions, block, decisions, t0, here, due)
        if flags.sees_account:
            if flags.at_next and t0 >= decides:  # after what fills at this bar
                decide_by_account(run, account, positions, block, decisions, t0, NEXT)
            state = block.bars[0].state
        equity = update_statistics(run, account, tally, block, decisions, t0, here, moved, assets)
        t0 += here
    return equity


def write_results(account: Account, tally: Tally, block: Block, equity, bars, cash, out, column):
    """What an account comes to, in the order of `build.SUMS`."""
    count_exposure(account, tally, bars)
    join_moments(account, tally, block, equity, bars)
    if flags.keep_returns:
        measure_tails(tally, block, bars)
    out[column, 0] = equity / cash
    write_fields(block.moments[0], out, column, 1)
    write_fields(tally, out, column, 1 + MOMENTS)


def bar_loop(
    unit,
    lane0,
    job: Job,
    table: Table,
    prices: Prices,
    inputs: Inputs,
    source: Source,
    log: Log,
    out,
):
    """Run the accounts of one unit of work.

    Column c is group `c // rows` of assets, or path `c // rows`, under row `c % rows` of the
    parameters. `out[c]` receives the sums in the order of `build.SUMS`.
    """
    account = Account()
    tally = Tally()
    positions = records(Position, job.assets)
    bars = records(Bar, BLOCK + PADDING)
    moments = records(Moments, PLACES)
    equity = array((BLOCK + PADDING,), f64)
    returns = array((BLOCK,), f64)
    target = array((job.assets, BLOCK + 1), f64)
    if flags.priced:
        limit = array((job.assets, BLOCK + 1), f64)
        stop = array((job.assets, BLOCK + 1), f64)
    else:
        limit = target  # never read
        stop = target
    if flags.keep_returns:
        history = array((2, job.bars + 1), f64)  # the returns, and room to sort them in
    else:
        history = target  # never read
    if flags.generated:
        close = array((1, prices.left_padding + job.bars + BLOCK), f64)
        ticks = array((1, prices.left_padding + job.bars + 1), f64)
        draws = array((4 * (NORMALS + UNIFORMS + 1), 1), f64)
        generated = -1
        for t in range(prices.left_padding):
            close[0, t] = NAN
            ticks[0, t] = NAN
        own = Prices(ticks, close, close, prices.extra, prices.left_padding, 0)
    block = Block(bars, equity, returns, moments, history)
    decisions = Decisions(target, limit, stop)
    for lane in lanes():
        column = unit * WIDTH + lane0 + lane
        if column < job.columns:
            group = column // job.rows
            parameters = read_parameters(table.numbers, table.at, column % job.rows)
            settings = read_settings(table.numbers, table.at, column % job.rows)
            if flags.generated:
                if generated != group:  # the rows of a path come one after the other
                    generate_path(parameters, own, draws, source, source.first + group, job.bars)
                    generated = group
            else:
                first = group * job.assets
                left = prices.left_padding
                own = Prices(prices.ticks, prices.close, prices.fill, prices.extra, left, first)
            notes = Log(log.enabled, column, log.equity, log.fills, log.first)
            run = Run(parameters, settings, own, inputs, notes, job.bars, job.cash)
            worth = go_through(run, account, tally, positions, block, decisions)
            write_results(account, tally, block, worth, job.bars, job.cash, out, column)
