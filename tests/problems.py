"""Known answers: (family, payoff, its columns, model, its columns, price, tolerance, source).

Grade simulations by max(3 standard errors, tolerance).
"""

PRICES = (
    (
        "european_bs",
        "European",
        {"option_type": "call", "strike": 65.0, "maturity": 0.25},
        "BlackScholes",
        {"spot": 60.0, "rate": 0.08, "dividend_yield": 0.0, "volatility": 0.3},
        2.133368444916199,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "european_bs",
        "European",
        {"option_type": "put", "strike": 70.0, "maturity": 0.5},
        "BlackScholes",
        {"spot": 75.0, "rate": 0.1, "dividend_yield": 0.05, "volatility": 0.35},
        4.086953828635356,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "european_bs",
        "European",
        {"option_type": "call", "strike": 100.0, "maturity": 0.1},
        "BlackScholes",
        {"spot": 90.0, "rate": 0.1, "dividend_yield": 0.1, "volatility": 0.15},
        0.020490148536478306,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "european_bs",
        "European",
        {"option_type": "call", "strike": 100.0, "maturity": 0.1},
        "BlackScholes",
        {"spot": 110.0, "rate": 0.1, "dividend_yield": 0.1, "volatility": 0.15},
        9.941277395489541,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "european_bs",
        "European",
        {"option_type": "call", "strike": 100.0, "maturity": 0.1},
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.1, "volatility": 0.25},
        3.121720698181133,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "european_bs",
        "European",
        {"option_type": "call", "strike": 100.0, "maturity": 0.1},
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.1, "volatility": 0.35},
        4.369316848536221,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "european_bs",
        "European",
        {"option_type": "call", "strike": 100.0, "maturity": 0.5},
        "BlackScholes",
        {"spot": 90.0, "rate": 0.1, "dividend_yield": 0.1, "volatility": 0.15},
        0.8068924136759343,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "european_bs",
        "European",
        {"option_type": "call", "strike": 100.0, "maturity": 0.5},
        "BlackScholes",
        {"spot": 110.0, "rate": 0.1, "dividend_yield": 0.1, "volatility": 0.15},
        10.576857786819104,
        1e-09,
        (
            "QuantLib test-suite europeanoption.cpp; Haug, Option Pricing Formulas (1998); "
            "QuantLib 1.44 AnalyticEuropeanEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 90.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 95.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.25},
        7.762670209856358,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 95.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.25},
        4.01094185044907,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 110.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 95.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.25},
        2.0576127527282657,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 110.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 100.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.25},
        3.9795196898493828,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 90.0,
            "maturity": 0.5,
            "barrier_type": "up-and-in",
            "barrier": 105.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.25},
        14.111173119603052,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 90.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 95.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.3},
        9.009344380681899,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 110.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 95.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.3},
        2.851682784926531,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 100.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.3},
        9.204497300172967,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 90.0,
            "maturity": 0.5,
            "barrier_type": "up-and-in",
            "barrier": 105.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.3},
        15.209845914389645,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.5,
            "barrier_type": "up-and-in",
            "barrier": 105.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.3},
        9.72782247587031,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "call",
            "strike": 110.0,
            "maturity": 0.5,
            "barrier_type": "up-and-in",
            "barrier": 105.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.3},
        5.835035642377958,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "barrier_continuous",
        "Barrier",
        {
            "option_type": "put",
            "strike": 90.0,
            "maturity": 0.5,
            "barrier_type": "down-and-in",
            "barrier": 100.0,
            "rebate": 3.0,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.08, "dividend_yield": 0.04, "volatility": 0.25},
        2.284469294830277,
        1e-09,
        (
            "QuantLib test-suite barrieroption.cpp; Haug (1998) p.72; QuantLib 1.44 "
            "AnalyticBarrierEngine"
        ),
    ),
    (
        "heston_european",
        "European",
        {"option_type": "put", "strike": 100.0, "maturity": 1.0},
        "Heston",
        {
            "spot": 100.0,
            "rate": 0.01,
            "dividend_yield": 0.02,
            "v0": 0.04,
            "kappa": 4.0,
            "long_variance": 0.25,
            "vol_of_vol": 1.0,
            "correlation": -0.5,
        },
        17.05527096127011,
        1e-10,
        (
            "Alan Lewis reference prices (50 digits), QuantLib hestonmodel.cpp; own "
            "Lewis-integral quadrature (helper), independent of QuantLib"
        ),
    ),
    (
        "heston_european",
        "European",
        {"option_type": "call", "strike": 110.0, "maturity": 1.0},
        "Heston",
        {
            "spot": 100.0,
            "rate": 0.01,
            "dividend_yield": 0.02,
            "v0": 0.04,
            "kappa": 4.0,
            "long_variance": 0.25,
            "vol_of_vol": 1.0,
            "correlation": -0.5,
        },
        12.132211516709845,
        1e-10,
        (
            "Alan Lewis reference prices (50 digits), QuantLib hestonmodel.cpp; own "
            "Lewis-integral quadrature (helper), independent of QuantLib"
        ),
    ),
    (
        "heston_european",
        "European",
        {"option_type": "put", "strike": 120.0, "maturity": 1.0},
        "Heston",
        {
            "spot": 100.0,
            "rate": 0.01,
            "dividend_yield": 0.02,
            "v0": 0.04,
            "kappa": 4.0,
            "long_variance": 0.25,
            "vol_of_vol": 1.0,
            "correlation": -0.5,
        },
        29.811026202682473,
        1e-10,
        (
            "Alan Lewis reference prices (50 digits), QuantLib hestonmodel.cpp; own "
            "Lewis-integral quadrature (helper), independent of QuantLib"
        ),
    ),
    (
        "heston_european",
        "European",
        {"option_type": "call", "strike": 120.0, "maturity": 1.0},
        "Heston",
        {
            "spot": 100.0,
            "rate": 0.01,
            "dividend_yield": 0.02,
            "v0": 0.04,
            "kappa": 4.0,
            "long_variance": 0.25,
            "vol_of_vol": 1.0,
            "correlation": -0.5,
        },
        9.024913483457835,
        1e-10,
        (
            "Alan Lewis reference prices (50 digits), QuantLib hestonmodel.cpp; own "
            "Lewis-integral quadrature (helper), independent of QuantLib"
        ),
    ),
    (
        "heston_european",
        "European",
        {"option_type": "call", "strike": 200.0, "maturity": 10.0},
        "Heston",
        {
            "spot": 100.0,
            "rate": 0.0,
            "dividend_yield": 0.0,
            "v0": 0.16,
            "kappa": 1.0,
            "long_variance": 0.16,
            "vol_of_vol": 2.0,
            "correlation": -0.8,
        },
        4.95212,
        1e-05,
        (
            "Kahl & Jaeckel (2005), QuantLib hestonmodel.cpp; own Lewis-integral quadrature "
            "(helper), independent of QuantLib"
        ),
    ),
    (
        "merton_jump",
        "European",
        {"option_type": "call", "strike": 80.0, "maturity": 0.1},
        "Merton",
        {
            "spot": 100.0,
            "rate": 0.08,
            "dividend_yield": 0.0,
            "volatility": 0.21650635094610965,
            "intensity": 1.0,
            "jump_mean": -0.0078125,
            "jump_volatility": 0.125,
        },
        20.66764266827248,
        1e-07,
        (
            "QuantLib test-suite jumpdiffusion.cpp; Haug (1998) p.9, misprints corrected "
            "there; printed two-decimal value"
        ),
    ),
    (
        "merton_jump",
        "European",
        {"option_type": "call", "strike": 80.0, "maturity": 0.5},
        "Merton",
        {
            "spot": 100.0,
            "rate": 0.08,
            "dividend_yield": 0.0,
            "volatility": 0.21650635094610965,
            "intensity": 1.0,
            "jump_mean": -0.0078125,
            "jump_volatility": 0.125,
        },
        23.63195722850948,
        1e-07,
        (
            "QuantLib test-suite jumpdiffusion.cpp; Haug (1998) p.9, misprints corrected "
            "there; printed two-decimal value"
        ),
    ),
    (
        "merton_jump",
        "European",
        {"option_type": "call", "strike": 80.0, "maturity": 0.1},
        "Merton",
        {
            "spot": 100.0,
            "rate": 0.08,
            "dividend_yield": 0.0,
            "volatility": 0.21650635094610965,
            "intensity": 5.0,
            "jump_mean": -0.0015624999999999999,
            "jump_volatility": 0.05590169943749474,
        },
        20.646110700278314,
        1e-07,
        (
            "QuantLib test-suite jumpdiffusion.cpp; Haug (1998) p.9, misprints corrected "
            "there; printed two-decimal value"
        ),
    ),
    (
        "merton_jump",
        "European",
        {"option_type": "call", "strike": 80.0, "maturity": 0.5},
        "Merton",
        {
            "spot": 100.0,
            "rate": 0.08,
            "dividend_yield": 0.0,
            "volatility": 0.21650635094610965,
            "intensity": 5.0,
            "jump_mean": -0.0015624999999999999,
            "jump_volatility": 0.05590169943749474,
        },
        23.60903960710664,
        1e-07,
        (
            "QuantLib test-suite jumpdiffusion.cpp; Haug (1998) p.9, misprints corrected "
            "there; printed two-decimal value"
        ),
    ),
    (
        "merton_jump",
        "European",
        {"option_type": "call", "strike": 80.0, "maturity": 0.1},
        "Merton",
        {
            "spot": 100.0,
            "rate": 0.08,
            "dividend_yield": 0.0,
            "volatility": 0.21650635094610965,
            "intensity": 10.0,
            "jump_mean": -0.00078125,
            "jump_volatility": 0.03952847075210474,
        },
        20.643422084889632,
        1e-07,
        (
            "QuantLib test-suite jumpdiffusion.cpp; Haug (1998) p.9, misprints corrected "
            "there; printed two-decimal value"
        ),
    ),
    (
        "barrier_discrete",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.2,
            "barrier_type": "down-and-out",
            "barrier": 87.0,
            "monitoring": "discrete",
            "observations": 50,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.0, "volatility": 0.3},
        6.281197937793577,
        5e-05,
        (
            "Broadie, Glasserman & Kou (1997) Table 2.1 cases: down-and-out call, 50 "
            "monitoring dates; printed three-decimal value (recalled)"
        ),
    ),
    (
        "barrier_discrete",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.2,
            "barrier_type": "down-and-out",
            "barrier": 88.0,
            "monitoring": "discrete",
            "observations": 50,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.0, "volatility": 0.3},
        6.242169349494208,
        5e-05,
        (
            "Broadie, Glasserman & Kou (1997) Table 2.1 cases: down-and-out call, 50 "
            "monitoring dates; printed three-decimal value (recalled)"
        ),
    ),
    (
        "barrier_discrete",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.2,
            "barrier_type": "down-and-out",
            "barrier": 90.0,
            "monitoring": "discrete",
            "observations": 50,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.0, "volatility": 0.3},
        6.098195560247855,
        5e-05,
        (
            "Broadie, Glasserman & Kou (1997) Table 2.1 cases: down-and-out call, 50 "
            "monitoring dates; printed three-decimal value (recalled)"
        ),
    ),
    (
        "barrier_discrete",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.2,
            "barrier_type": "down-and-out",
            "barrier": 92.0,
            "monitoring": "discrete",
            "observations": 50,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.0, "volatility": 0.3},
        5.8097401425812025,
        5e-05,
        (
            "same contract as Broadie, Glasserman & Kou (1997); computed; own Monte Carlo "
            "with control variate, s.e. 3.8e-03"
        ),
    ),
    (
        "barrier_discrete",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.2,
            "barrier_type": "down-and-out",
            "barrier": 95.0,
            "monitoring": "discrete",
            "observations": 50,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.0, "volatility": 0.3},
        4.906786409069168,
        5e-05,
        (
            "same contract as Broadie, Glasserman & Kou (1997); computed; own Monte Carlo "
            "with control variate, s.e. 6.4e-03"
        ),
    ),
    (
        "barrier_discrete",
        "Barrier",
        {
            "option_type": "call",
            "strike": 100.0,
            "maturity": 0.2,
            "barrier_type": "down-and-out",
            "barrier": 97.0,
            "monitoring": "discrete",
            "observations": 50,
        },
        "BlackScholes",
        {"spot": 100.0, "rate": 0.1, "dividend_yield": 0.0, "volatility": 0.3},
        3.8339737004882255,
        5e-05,
        (
            "same contract as Broadie, Glasserman & Kou (1997); computed; own Monte Carlo "
            "with control variate, s.e. 8.1e-03"
        ),
    ),
    (
        "power",
        "PowerOption",
        {"option_type": "call", "strike": 100.0, "power": 1.9, "maturity": 0.5},
        "BlackScholes",
        {"spot": 10.0, "rate": 0.08, "dividend_yield": 0.06, "volatility": 0.1},
        0.3102,
        5e-05,
        "Haug, Option Pricing Formulas (2007), table 4-3",
    ),
    (
        "power",
        "PowerOption",
        {"option_type": "put", "strike": 100.0, "power": 1.9, "maturity": 0.5},
        "BlackScholes",
        {"spot": 10.0, "rate": 0.08, "dividend_yield": 0.06, "volatility": 0.1},
        18.2738,
        5e-05,
        "Haug, Option Pricing Formulas (2007), table 4-3",
    ),
    (
        "power",
        "PowerOption",
        {"option_type": "call", "strike": 100.0, "power": 2.05, "maturity": 0.5},
        "BlackScholes",
        {"spot": 10.0, "rate": 0.08, "dividend_yield": 0.06, "volatility": 0.1},
        15.8587,
        5e-05,
        "Haug, Option Pricing Formulas (2007), table 4-3",
    ),
    (
        "power",
        "PowerOption",
        {"option_type": "put", "strike": 100.0, "power": 2.05, "maturity": 0.5},
        "BlackScholes",
        {"spot": 10.0, "rate": 0.08, "dividend_yield": 0.06, "volatility": 0.1},
        1.3089,
        5e-05,
        "Haug, Option Pricing Formulas (2007), table 4-3",
    ),
)

# (option type, forward, strike, maturity, undiscounted price, volatility, tolerance); Black's
# formula inverted at 50 digits (mpmath)
IMPLIED = (
    ("call", 100.0, 101.0, 0.0027397260273972603, 0.03849155515747, 0.15, 3.0000000000000003e-13),
    ("call", 100.0, 100.0, 0.0001, 0.003989422802352067, 0.01, 3.0000000000000003e-13),
    ("put", 100.0, 99.0, 0.02, 4.006234741824157, 0.8, 3.0000000000000003e-13),
    ("call", 100.0, 200.0, 1.0, 56.514168664746066, 2.0, 3.0000000000000003e-13),
    ("call", 100.0, 110.0, 0.01, 0.9539473918572273, 1.0, 3.0000000000000003e-13),
    ("call", 100.0, 100.5, 0.003, 0.0402580014213375, 0.09, 3.0000000000000003e-13),
    ("call", 100.0, 1000.0, 10.0, 4.6564021650123015, 0.4, 3.0000000000000003e-13),
    ("call", 100.0, 130.0, 0.5, 3.056298868984197e-14, 0.05, 3.0000000000000003e-13),
    ("put", 100.0, 75.0, 0.25, 8.184857538159846e-07, 0.12, 3.0000000000000003e-13),
)
