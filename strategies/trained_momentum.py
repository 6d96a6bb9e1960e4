"""Trained momentum: a small network weighs momentum, volatility and how simple rules have lately
done.

Idea: past winners go on winning (Jegadeesh and Titman, 1993), less so when volatility is high
(Barroso and Santa-Clara, 2015); how trend rules have lately paid tells which of the two holds. The
network is trained walk-forward on a Sharpe loss after costs.

Run it: python -m strategies.trained_momentum
"""

import gpuquant as gq
from gpuquant import costs, features, learn, sizing, splits

FEES = costs.Proportional(rate=0.0005)


def strategy(steps: int = 120) -> gq.Strategy:
    """Features, learner and sizing."""
    return gq.Strategy(
        features=[
            features.Momentum(window=21),
            features.Momentum(window=252),
            features.RealizedVolatility(window=63),
            features.RuleReturns(window=63),
        ],
        learner=learn.Learner(
            learn.networks.MLP(hidden=32),
            loss="sharpe",
            ensemble=8,
            training=learn.TrainingConfig(steps=steps),
        ),
        sizing=sizing.VolatilityTarget(0.10, max_gross=1.0),
    )


def main(
    prices: gq.Panel | None = None, *, train: str = "8Y", test: str = "2Y", steps: int = 120
) -> None:
    """Train, back-test out of sample after costs, and print it beside holding everything."""
    panel = gq.data.load("us20") if prices is None else prices
    fund = gq.Portfolio({"alpha": strategy(steps), "cash": 1_000_000.0})
    fund = fund.train(panel, splits=splits.WalkForward(train=train, test=test), costs=FEES)
    print(fund.backtest(panel, costs=FEES).summary())


if __name__ == "__main__":
    main()
