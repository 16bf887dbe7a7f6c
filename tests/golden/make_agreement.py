"""Writes agreement.json: agreement and Dawid-Skene estimates of small random tables, by other programs.

    python tests/golden/make_agreement.py

Made with krippendorff 0.9.0 (alpha), scikit-learn 1.9.1 (kappa), crowd-kit 1.4.2 (maximum likelihood), numpy 2.4.6 and
pandas 3.1.1. crowd-kit knows no prior, so estimates with one come from `from_the_paper`: the equations of
Dawid & Skene (1979) as they are printed, with the prior's answers counted as answers.
"""

import json
import pathlib

import krippendorff
import numpy as np
import pandas as pd
from crowdkit.aggregation import DawidSkene
from sklearn.metrics import cohen_kappa_score

HERE = pathlib.Path(__file__).parent
draw = np.random.default_rng(7)


def table(annotators, units, values, right, missing):
    """Ratings with a row an annotator: near the truth `right` of the time, else anything."""
    truth = draw.choice(values, size=units)
    noise = draw.choice(values, size=(annotators, units))
    ratings = np.where(draw.random((annotators, units)) < right, truth, noise).astype(float)
    ratings[draw.random((annotators, units)) < missing] = np.nan
    return ratings


def alphas():
    cases = []
    tables = [
        ("nominal", table(3, 40, [0, 1, 2], 0.7, 0.2)),
        ("nominal", table(2, 25, [0, 1, 2], 0.5, 0.0)),
        ("nominal", table(6, 60, [0, 1, 2], 0.8, 0.6)),
        ("nominal", table(4, 15, [0, 1], 0.0, 0.3)),
        ("nominal", table(5, 12, [3, 7, 8, 20], 0.9, 0.5)),
        ("interval", table(3, 40, range(6), 0.6, 0.2)),
        ("interval", table(2, 30, range(6), 0.3, 0.1)),
        ("interval", table(5, 50, range(6), 0.8, 0.7)),
        ("interval", table(4, 20, [-1.5, 0, 0.25, 10], 0.5, 0.4)),
        ("interval", table(3, 12, range(100), 0.7, 0.3)),
        ("ordinal", table(3, 40, range(6), 0.6, 0.2)),
        ("ordinal", table(2, 30, [0, 1, 2], 0.3, 0.1)),
        ("ordinal", table(5, 50, range(6), 0.8, 0.7)),
        ("ordinal", table(4, 20, [1, 2, 5, 9], 0.5, 0.4)),
        ("ordinal", table(3, 12, range(100), 0.7, 0.3)),
    ]
    for level, ratings in tables:
        alpha = krippendorff.alpha(reliability_data=ratings, level_of_measurement=level)
        shown = [[None if np.isnan(rating) else rating for rating in row] for row in ratings.tolist()]
        cases.append({"level": level, "ratings": shown, "alpha": float(alpha)})
    return cases


def kappas():
    cases = []
    for classes, items, right in [(2, 30, 0.8), (3, 50, 0.6), (3, 12, 0.2), (4, 80, 0.9), (6, 60, 0.5), (6, 20, 0.0)]:
        one, other = table(2, items, range(classes), right, 0.0).astype(int)
        kappa = lambda weights: float(cohen_kappa_score(one, other, labels=list(range(classes)), weights=weights))
        cases.append({
            "classes": classes,
            "pairs": np.stack([one, other], axis=1).tolist(),
            "unweighted": kappa(None),
            "linear": kappa("linear"),
            "quadratic": kappa("quadratic"),
        })
    return cases


def answers(items, classes, rights, share):
    """(item, annotator, class), every annotator right in their own share of cases; every item has an answer."""
    truth = draw.integers(classes, size=items)
    labels = []
    for item in range(items):
        asked = draw.random(len(rights)) < share
        asked[draw.integers(len(rights))] = True
        for annotator in np.flatnonzero(asked):
            right = draw.random() < rights[annotator]
            labels.append((item, int(annotator), int(truth[item] if right else draw.integers(classes))))
    return labels, truth


def by_crowd_kit(labels, classes, iterations, known):
    data = pd.DataFrame(labels, columns=["task", "worker", "label"])
    # No difference of likelihoods is below this: all iterations are made.
    model = DawidSkene(n_iter=iterations, tol=-np.inf).fit(data, true_labels=pd.Series(dict(known), dtype=int))
    items, annotators = data["task"].max() + 1, data["worker"].max() + 1
    everything = pd.MultiIndex.from_product([range(annotators), range(classes)])
    errors = model.errors_.reindex(everything, fill_value=0.0)[list(range(classes))].to_numpy()
    confusions = errors.reshape(annotators, classes, classes).transpose(0, 2, 1)
    posteriors = model.probas_.loc[list(range(items)), list(range(classes))].to_numpy()
    return posteriors, model.priors_.loc[list(range(classes))].to_numpy(), confusions


def from_the_paper(labels, classes, iterations, known, prior_answers, prior_accuracy):
    items, annotators = max(i for i, _, _ in labels) + 1, max(k for _, k, _ in labels) + 1
    # n[k, i, l]: how often annotator k said l of item i.
    n = np.zeros((annotators, items, classes))
    for item, annotator, answer in labels:
        n[annotator, item, answer] += 1
    prior = np.full((classes, classes), (1 - prior_accuracy) / (classes - 1))
    np.fill_diagonal(prior, prior_accuracy)

    def fixed(T):
        for item, true in known:
            T[item] = np.eye(classes)[true]
        return T

    def maximise(T):
        # Equations 2.3 and 2.4.
        pi = np.einsum("ij,kil->kjl", T, n) + prior_answers * prior
        return T.mean(axis=0), pi / pi.sum(axis=2, keepdims=True)

    T = n.sum(axis=0)
    T = fixed(T / T.sum(axis=1, keepdims=True))
    p, pi = maximise(T)
    for _ in range(iterations):
        # Equation 2.5.
        T = p * np.prod(pi[:, None, :, :] ** n[:, :, None, :], axis=(0, 3))
        T = fixed(T / T.sum(axis=1, keepdims=True))
        p, pi = maximise(T)
    return T, p, pi


def estimates():
    cases = []

    def add(by, labels, classes, iterations, known, answers, accuracy, found):
        posteriors, shares, confusions = (np.asarray(part).tolist() for part in found)
        cases.append({
            "by": by, "classes": classes, "iterations": iterations, "prior_answers": answers, "prior_accuracy": accuracy,
            "labels": labels, "known": known, "posteriors": posteriors, "shares": shares, "confusions": confusions,
        })

    for classes, items, rights, share, iterations in [
        (2, 30, [0.9, 0.7, 0.5], 1.0, 20),
        (3, 60, [0.9, 0.8, 0.6, 0.3], 0.6, 30),
        (3, 50, [0.7, 0.7, 0.5, 0.5, 0.4], 0.8, 1),
    ]:
        labels, truth = answers(items, classes, rights, share)
        some = [(item, int(truth[item])) for item in range(0, items, 7)]
        for known in [], some:
            crowd_kit = by_crowd_kit(labels, classes, iterations, known)
            paper = from_the_paper(labels, classes, iterations, known, 0.0, 1.0)
            # The two references agree, so the second may speak where the first cannot.
            for one, other in zip(crowd_kit, paper):
                assert np.abs(one - other).max() < 1e-9, np.abs(one - other).max()
            add("crowd-kit", labels, classes, iterations, known, 0.0, 1.0, crowd_kit)
        paper = from_the_paper(labels, classes, iterations, some, 2.0, 0.7)
        add("numpy", labels, classes, iterations, some, 2.0, 0.7, paper)
    return cases


def main():
    golden = {"alpha": alphas(), "kappa": kappas(), "dawid_skene": estimates()}
    lines = []
    for key, cases in golden.items():
        rows = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in cases)
        lines.append(f" {json.dumps(key)}: [\n{rows}\n ]")
    (HERE / "agreement.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
