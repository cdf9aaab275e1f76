"""Learning curves show the numbers that they were given."""

from __future__ import annotations

from videoproc.report.curves import learning_curves


def test_each_quantity_has_a_panel_with_its_series():
    figure = learning_curves(
        {
            "loss": {"train": [(0, 2.0), (1, 1.0)], "val": [(1, 1.5)]},
            "accuracy": {"val": [(0, 0.5)]},
        }
    )
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    train, val = figure.axes[0].lines
    assert (list(train.get_xdata()), list(train.get_ydata())) == ([1, 2], [2.0, 1.0])
    assert (list(val.get_xdata()), list(val.get_ydata())) == ([2], [1.5])
