"""What is registered in Feast: each object once, the views those of the feature tables."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from contracts.features import ITEM_FEATURES, USER_FEATURES
from contracts.settings import Settings
from feature_repo.engine import FeatureStore
from feature_repo.store_config import apply, repo_config
from feature_repo.views import AS_OF_US, FEAST_TYPES, ITEM_VIEW, USER_VIEW
from tests.builders.servers import REPOSITORY


def registered(store: FeatureStore) -> dict[str, list[str]]:
    return {
        "entities": sorted(entity.name for entity in store.list_entities()),
        "views": sorted(view.name for view in store.list_feature_views()),
        "services": sorted(service.name for service in store.list_feature_services()),
        "sources": sorted(source.name for source in store.list_data_sources()),
    }


EXPECTED = {
    "entities": ["item", "user"],
    "views": ["item_features", "user_features"],
    "services": ["item_state", "user_state"],
    "sources": ["item_features_unread", "user_features_unread"],
}


def test_apply_registers_each_object_once(local_settings: Settings) -> None:
    apply(local_settings)
    apply(local_settings)
    assert registered(FeatureStore(config=repo_config(local_settings))) == EXPECTED


def test_feasts_own_command_registers_the_same_objects(tmp_path: Path) -> None:
    """`feast apply` imports every file that `.feastignore` leaves; an object seen twice would fail it."""
    repository = tmp_path / "feature_repo"
    repository.mkdir()
    (tmp_path / ".millstream" / "feast").mkdir(parents=True)
    for source in (REPOSITORY / "feature_repo").iterdir():
        if source.is_file():
            (repository / source.name).write_bytes(source.read_bytes())
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "MILLSTREAM_STATE_DIR": str(tmp_path / ".millstream")}
    program = str(Path(sys.executable).with_name("feast"))
    done = subprocess.run(
        [program, "-c", str(repository), "apply", "--skip-source-validation"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    settings = Settings(state_dir=tmp_path / ".millstream")
    assert registered(FeatureStore(config=repo_config(settings))) == EXPECTED


def test_feastignore_names_every_file_but_the_definitions() -> None:
    folder = REPOSITORY / "feature_repo"
    patterns = (folder / ".feastignore").read_text().split()
    seen = [path.name for path in folder.glob("*.py") if not any(path.match(pattern) for pattern in patterns)]
    assert seen == ["definitions.py"]
    assert not (folder / "services.py").exists()


def test_the_command_lines_file_agrees_with_the_default_settings() -> None:
    written = yaml.safe_load((REPOSITORY / "feature_repo" / "feature_store.yaml").read_text())
    built = repo_config(Settings(state_dir=REPOSITORY / ".millstream"))
    assert written["project"] == built.project
    assert written["online_store"]["type"] == built.online_store.type
    assert written["entity_key_serialization_version"] == built.entity_key_serialization_version
    assert written["registry"]["cache_ttl_seconds"] == built.registry.cache_ttl_seconds == 0
    for section, path in (("registry", built.registry.path), ("online_store", built.online_store.path)):
        assert (REPOSITORY / "feature_repo" / written[section]["path"]).resolve() == Path(path)


def test_the_views_have_the_columns_of_the_feature_tables(local_settings: Settings) -> None:
    apply(local_settings)
    store = FeatureStore(config=repo_config(local_settings))
    for name, table in ((USER_VIEW, USER_FEATURES), (ITEM_VIEW, ITEM_FEATURES)):
        fields = {field.name: field.dtype for field in store.get_feature_view(name).features}
        assert fields.pop(AS_OF_US) == FEAST_TYPES[type(USER_FEATURES[-1].dtype).INT]
        assert fields == {feature.name: FEAST_TYPES[feature.dtype] for feature in table}


def test_importing_feast_leaves_the_metrics_of_this_process_and_its_children_alone() -> None:
    seen = subprocess.run(
        [sys.executable, "-c", "import os, feature_repo.online; print([n for n in os.environ if 'PROMETHEUS' in n])"],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if "PROMETHEUS" not in name},
    )
    assert seen.stdout.strip() == "[]"
