"""`python -m scheduler` trains a real classifier with each of torch's schedulers, and compares it with a table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler import KINDS
from scheduler.__main__ import main
from scheduler.training import experiment
from scheduler.training.choices import CHOICES
from scheduler.training.comparison import twin
from scheduler.training.options import parse

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("tqdm")
pytest.importorskip("matplotlib")

# Options that make something happen within a few epochs.
SHORT = {
    "step": ["--step_size", "1", "--gamma", "0.3"],
    "multistep": ["--milestones", "1", "2", "--gamma=0.3"],
    "exponential": ["--gamma", "0.7"],
    "cosine": ["--t-max", "2", "--eta-min", "1e-3"],
    "onecycle": ["--max_lr", "0.05", "--pct_start=0.4"],
    "cyclic": ["--base-lr", "1e-3", "--max-lr", "0.1", "--step_size", "10", "--mode", "exp_range", "--gamma", "0.99"],
    "plateau": ["--patience", "0", "--factor", "0.5"],
}
EPOCH = re.compile(r"epoch (\d+)/(\d+)  lr (\S+) +loss (\S+)  test loss (\S+)  accuracy +(\S+)%")


def run(tmp_path: Path, *words: str) -> int:
    return main(["--output", str(tmp_path / "pictures"), "--batch-size", "256", "--epochs", "3", *words])


@pytest.mark.parametrize("scheduler", CHOICES)
def test_the_table_applies_what_torch_applies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scheduler: str
) -> None:
    """Trained from a table, rates, momenta and final weights are those of torch's scheduler, bit for bit."""
    assert run(tmp_path, "--scheduler", scheduler, *SHORT[scheduler], "--compare") == 0
    out = capsys.readouterr().out
    choice = CHOICES[scheduler]
    updates = 3 * -(-1437 // 256)
    assert f"applied rates: equal bit for bit in all {updates} updates" in out
    assert "final weights: equal bit for bit" in out
    has_twin = choice.kind in KINDS and not choice.watches_loss
    assert (f"from a table computed from {choice.kind}" in out) == has_twin
    assert ("from a table of the rates recorded just now" in out) != has_twin
    assert (f"custom.{choice.torch_class} with the same parameters: " in out) == choice.per_batch
    assert len(EPOCH.findall(out)) == 6
    for name in ("lr", "loss", "accuracy"):
        assert (tmp_path / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_training_prints_its_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each epoch has a line with the rate of its last update, and the classifier learns."""
    assert run(tmp_path, "--scheduler", "step", "--step-size", "2", "--lr", "0.2", "--epochs", "8") == 0
    out = capsys.readouterr().out
    assert out.startswith("StepLR(step_size=2, gamma=0.1), stepped once an epoch\n")
    epochs = EPOCH.findall(out)
    assert [float(rate) for _, _, rate, *_ in epochs[:6]] == [0.2, 0.2, 0.02, 0.02, 0.002, 0.002]
    assert float(epochs[-1][5]) > 50


def test_the_seed_decides_the_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed gives the same losses, another seed others."""
    losses = []
    for seed in ("1", "1", "2"):
        assert run(tmp_path, "--scheduler", "exponential", "--seed", seed, "--epochs", "1") == 0
        losses.append(EPOCH.findall(capsys.readouterr().out))
    assert losses[0] == losses[1] != losses[2]


def test_the_users_own_command(tmp_path: Path) -> None:
    """The guide's command works from any folder, says nothing on stderr in a pipe, and saves in runs/."""
    command = [sys.executable, "-W", "error", "-m", "scheduler", "--scheduler", "step", "--epochs", "2"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("pictures: runs/step/lr.png, loss.png, accuracy.png\n")
    assert sorted(path.name for path in (tmp_path / "runs" / "step").iterdir()) == [
        "accuracy.png",
        "loss.png",
        "lr.png",
    ]


def test_the_bar_can_be_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--progress` draws the bar where stderr is no terminal, and leaves stdout alone."""
    assert run(tmp_path, "--scheduler", "cosine", "--progress") == 0
    out, err = capsys.readouterr()
    assert "built-in" in err
    assert "batch/s" in err
    assert len(EPOCH.findall(out)) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["step", "--t-max", "3"], "--t_max is not used by --scheduler step, which takes --lr, --step_size, --gamma"),
        (["onecycle", "--lr", "1"], "--lr is not used by --scheduler onecycle, which takes --max_lr, --pct_start"),
        (["step", "--gamma", "-1"], "argument --gamma: must be a number above 0 and at most 1e+06, got '-1'"),
        (["cosine", "--eta-min", "nan"], "argument --eta_min: must be a number from 0 to 1e+06, got 'nan'"),
        (["onecycle", "--pct-start=1.5"], "argument --pct_start: must be a number from 0 to 1, got '1.5'"),
        (["step", "--step_size", "0"], "argument --step_size: must be a whole number from 1 to 1,000,000, got '0'"),
        (["step", "--epochs", "1e3"], "argument --epochs: must be a whole number from 1 to 1,000,000, got '1e3'"),
        (["multistep", "--milestones", "3,x"], "argument --milestones: must be a whole number from 1 to 1,000,000"),
        (["cyclic", "--mode", "square"], "argument --mode: invalid choice: 'square'"),
        (["linear"], "argument --scheduler: invalid choice: 'linear'"),
        (["step", "--step", "3"], "unrecognized arguments: --step 3"),
    ],
)
def test_bad_options_are_refused(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    """A bad option ends the command with 2, naming the option and the value, before anything is trained."""
    with pytest.raises(SystemExit, match="2"):
        main(["--scheduler", *words])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["plateau", "--factor", "1.5"], "'factor': 1.5, 'patience': 10}: Factor should be < 1.0.", id="torch"
        ),
        pytest.param(["step", "--output", "file/x"], "Not a directory: 'file/x'", id="folder"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    """An error of torch or the disk ends the command with status 2 and one line, not a traceback."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(["--scheduler", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("epochs", [4, 100])
@pytest.mark.parametrize("scheduler", sorted(set(CHOICES) - {"plateau"}))  # whose rates depend on the losses
def test_a_short_training_shows_a_curve_too(scheduler: str, epochs: int) -> None:
    """Without options the rate changes, however short the training; of 100 epochs the defaults are the known ones."""
    settings = parse(["--scheduler", scheduler, "--epochs", str(epochs)]).settings
    table = twin(settings, batches=23)
    assert table is not None
    assert len(set(table.lr.tolist())) > 2
    if epochs == 100 and scheduler in ("step", "multistep"):
        known = {"step_size": 30} if scheduler == "step" else {"milestones": [30, 60, 90]}
        assert settings.parameters(23) == {**known, "gamma": 0.1}


def test_momenta_are_compared_in_the_picture_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch cycles the momentum, that of the table is drawn over it as the rate is."""
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(experiment, "plot", lambda *given, **options: seen.append(options["applied"]))
    assert run(tmp_path, "--scheduler", "onecycle", "--epochs", "1", "--compare") == 0
    assert [list(applied) for applied in seen] == [["lr", "momentum"]]


@pytest.mark.parametrize("words", [["30", "60", "90"], ["30,60,90"], ["[90,", "60,", "30]"], ["30, 60", "90"]])
def test_ways_to_type_milestones(words: list[str]) -> None:
    """Milestones are written with spaces, commas or brackets."""
    options = parse(["--scheduler", "multistep", "--milestones", *words])
    assert options.settings.parameters(batches=1)["milestones"] == [30, 60, 90]


@pytest.mark.parametrize("scheduler", CHOICES)
def test_the_help_names_every_option(capsys: pytest.CaptureFixture[str], scheduler: str) -> None:
    """The help says of each scheduler which options it uses."""
    with pytest.raises(SystemExit, match="0"):
        parse(["--help"])
    (line,) = re.findall(rf"^{scheduler} +(.*)$", capsys.readouterr().out, re.MULTILINE)
    assert re.findall(r"--(\w+)", line) == list(CHOICES[scheduler].defaults)
    assert line.startswith("batch" if CHOICES[scheduler].per_batch else "epoch")


def test_missing_packages_are_named() -> None:
    """Without the demo's packages the command says what to install, at once."""
    script = "import sys; sys.modules |= dict.fromkeys(['sklearn', 'tqdm'])\n"
    script += "from scheduler.__main__ import main; sys.exit(main(['--scheduler', 'step']))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr == (
        "python -m scheduler: error: the training needs scikit-learn, tqdm: pip install 'lrtables[demo]'\n"
    )
