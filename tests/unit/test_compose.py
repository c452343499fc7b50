"""compose.yaml: valid by the Compose specification, and true to the code that it starts."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.main import get_command

from penstock_producer.cli.main import app as penstock
from penstock_shared.settings import Settings, load_settings
from penstock_workers.cli import app as penstock_worker

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = {n: s for n, s in SERVICES.items() if n.startswith("worker-")}
OURS = {n: s for n, s in SERVICES.items() if "build" in s}
CLIS = {"penstock": penstock, "penstock-worker": penstock_worker}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_URL$")
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


def _our_commands() -> list[tuple[str, list[str]]]:
    found = []
    for name, service in OURS.items():
        found.append((name, [*service.get("entrypoint", []), *service["command"]]))
        test = service.get("healthcheck", {}).get("test", ["CMD", "none"])[1:]
        if test[0] in CLIS:
            found.append((f"{name}-health", test))
    return found


def _tier_of(command: list[str]) -> str:
    return command[command.index("--tier") + 1]


def _seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def test_it_is_valid_by_the_compose_specification() -> None:
    path = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(Path(distribution("check-jsonschema").locate_file(path)).read_text())
    validator = Draft202012Validator(schema)
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(COMPOSE)] == []
    assert not validator.is_valid({"services": {"redis": {"imagee": "redis"}}})


@pytest.mark.parametrize(("name", "command"), _our_commands())
def test_every_command_parses_with_our_command_lines(name: str, command: list[str]) -> None:
    group = get_command(CLIS[command[0]])
    if command[1:] == ["--help"]:
        return
    subcommand = group.commands.get(command[1])  # type: ignore[attr-defined]
    assert subcommand is not None, f"{name}: {command[0]} has no command {command[1]}"
    subcommand.make_context(command[1], command[2:])  # a usage error raises


@pytest.mark.parametrize("profile", ["gpu", "cpu"])
def test_every_tier_has_a_worker_in_both_profiles(profile: str) -> None:
    workers = [s for s in WORKERS.values() if s["profiles"] == [profile]]
    assert sorted(_tier_of(s["command"]) for s in workers) == sorted(Settings().tiers)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_healthy_when_its_own_tier_makes_progress(name: str) -> None:
    service = WORKERS[name]
    test = service["healthcheck"]["test"]
    assert test[:3] == ["CMD", "penstock-worker", "health"]
    assert _tier_of(test) == _tier_of(service["command"])


@pytest.mark.parametrize("name", WORKERS)
def test_gpu_workers_reserve_a_gpu_and_cpu_workers_reserve_nothing(name: str) -> None:
    service = WORKERS[name]
    if service["profiles"] == ["cpu"]:
        assert "deploy" not in service
        assert service["build"]["target"] == "worker-cpu"
        return
    [device] = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert device["device_ids"] == [f"${{GPU_{_tier_of(service['command']).upper()}:-0}}"]
    assert service["build"]["target"] == "worker"


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_given_the_time_to_drain(name: str) -> None:
    drain_s = Settings().worker.drain_s
    assert _seconds(WORKERS[name]["stop_grace_period"]) >= drain_s + 30
    assert WORKERS[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_the_environment_and_a_missing_one_is_refused(name: str) -> None:
    variables = SERVICES[name].get("environment", {})
    secrets = {k: v for k, v in variables.items() if SECRET.search(k)}
    assert secrets or name not in {"redis", "postgres", "flower", "migrate", *WORKERS}
    assert [k for k, v in secrets.items() if not REQUIRED.search(v)] == []
    assert "PASSWORD:?" not in json.dumps(SERVICES[name].get("command", []))


def test_nothing_is_published_but_flower_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"flower": ["127.0.0.1:5555:5555"]}
    assert not any(s.get("network_mode") for s in SERVICES.values())


def test_flower_is_not_started_without_a_password() -> None:
    variables = SERVICES["flower"]["environment"]
    assert REQUIRED.fullmatch(variables["PENSTOCK_FLOWER__PASSWORD"])
    assert variables["PENSTOCK_FLOWER__PORT"] == "5555"


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_privileged(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()
    assert service.get("read_only", False) is not (name in WORKERS)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come_true(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        target = SERVICES[other]
        assert "profiles" not in target, f"{other} may not run"
        if wait["condition"] == "service_healthy":
            assert target["healthcheck"]["test"]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert target["restart"] == "no"


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_ours_is_a_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, REQUIRED.sub("secret", value))
    monkeypatch.setenv("PENSTOCK_CONFIG", str(ROOT / "docs" / "penstock.toml"))
    settings = load_settings()
    assert settings.home == Path("/var/lib/penstock")
    if "PENSTOCK_LEDGER_URL" in SERVICES[name]["environment"]:
        assert settings.ledger == "postgresql://penstock:secret@postgres:5432/penstock"


@pytest.mark.parametrize("name", OURS)
def test_every_image_has_its_target_in_the_dockerfile(name: str) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    targets = dict(re.findall(r"(?ms)^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text))
    steps = targets[SERVICES[name]["build"]["target"]]
    assert "USER penstock" in steps
    assert re.search(r"\$\{[^}]*(PASSWORD|TOKEN)", text) is None


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_volumes_are_named(name: str) -> None:
    service = SERVICES[name]
    if name not in OURS:
        assert re.search(r":\d+\.\d+", service["image"])
    for volume in service.get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]


def test_the_redis_settings_are_durable_and_keep_the_password_out_of_sight() -> None:
    shell, flag, script = SERVICES["redis"]["command"]
    assert (shell, flag) == ("sh", "-c")
    for line in ("appendonly yes", "maxmemory-policy noeviction", "requirepass $$REDIS_PASSWORD"):
        assert line in script.splitlines()
    assert script.startswith("exec redis-server - <<")


def test_the_example_environment_names_every_variable() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^([A-Z_]+)=", example)) == used | {"COMPOSE_PROFILES"}
    assert re.search(r"(?m)^[A-Z]+_PASSWORD=.+", example) is None


def test_the_example_settings_are_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_CONFIG", str(ROOT / "docs" / "penstock.toml"))
    written = load_settings(tmp_path)
    defaults = Settings(home=tmp_path, config=written.config)
    assert written.model_dump() == defaults.model_dump()
