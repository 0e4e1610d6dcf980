"""Classes for Java, Go and TypeScript, made of the JSON Schemas as the page says, compile and read Results."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sprat_local.kafka.jars import class_path
from sprat_testing import Sprat
from support.npm import node_modules
from support.programs import needs
from support.readme import ROOT, commands, programs
from support.result_consumers import CLIENTS

SCHEMAS = ROOT / "contracts/schemas"
RESULT = "dev.sprat.result.decided.v1"
pytestmark = [needs("npm"), pytest.mark.timeout(900)]  # the first time, the generators are installed
JAVA = """
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.sprat.result.decided.Converter;

public class Main {
  public static void main(String[] arguments) throws Exception {
    var json = new String(System.in.readAllBytes(), UTF_8);
    READ
  }
}
"""
JAVA_PRODUCER = """
import dev.sprat.text.submitted.*;

public class Main {
  public static void main(String[] arguments) throws Exception {
    var text = new Message();
    text.setText("what is my balance");
    text.setTenant("acme-bank");
    text.setTasks(new Tasks());
    text.getTasks().setIntent(new TaskOptions());
    System.out.println(Converter.toJsonString(text));
  }
}
"""
GO = """package main

import (
	"fmt"
	"io"
	"os"

	"example/classes/resultdecided"
)

func main() {
	value, _ := io.ReadAll(os.Stdin)
	READ
}
"""
TYPESCRIPT = """
import type { IntentOutput, Result } from "./classes/dev.sprat.result.decided.v1.js";

const result: Result = EXAMPLE;
export const label: string | null = (result.output as IntentOutput | null)?.label ?? null;
export const offset: number = result.origin.offset;
"""
UNCHECKED = """
import type { TextSubmitted } from "./classes/dev.sprat.text.submitted.v1.js";

export const text: TextSubmitted = { text: "hi", tasks: { intent: { modl: "hr" } } };
"""
WRONG = "export const wrong: number = result.status;\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the generators, at the versions of the lock file, and the schemas."""
    shutil.copytree(SCHEMAS, tmp_path / "contracts/schemas")
    (tmp_path / "node_modules").symlink_to(node_modules(CLIENTS / "classes"))
    return tmp_path


def run(folder: Path, *command: str, succeed: bool = True, given: str = "") -> str:
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=False, timeout=400)
    assert (done.returncode == 0) is succeed, done.stdout + done.stderr
    return done.stdout


def generate(folder: Path, program: str) -> None:
    for line in commands(programs()[program]):
        run(folder, "bash", "-euc", line)


def example() -> dict:
    """Return the schema's own example, with a field that a later version may add."""
    return json.loads((SCHEMAS / f"{RESULT}.json").read_text("utf-8"))["examples"][0] | {"a_later_field": {"n": 1}}


@needs("javac")
def test_java_classes_of_every_schema_compile_and_read_a_result(folder: Path) -> None:
    generate(folder, "classes-java")
    sources = sorted((folder / "classes").rglob("*.java"))
    packages = {".".join(path.relative_to(folder / "classes").parts[:-1]) for path in sources}
    assert packages == {path.name.removesuffix(".v1.json") for path in SCHEMAS.glob("dev.*.json")}
    (folder / "Main.java").write_text(JAVA.replace("READ", programs()["classes-java-read"]), "utf-8")
    run(folder, "javac", "-cp", class_path(), "-d", "compiled", "Main.java", *map(str, sources))
    printed = run(folder, "java", "-cp", f"compiled:{class_path()}", "Main", given=json.dumps(example()))
    assert printed == "order-4711/message-3 pay_bill 41\n"


@needs("javac")
def test_what_the_java_class_of_a_text_writes_is_answered(folder: Path) -> None:
    generate(folder, "classes-java")
    sources = sorted((folder / "classes/dev/sprat/text/submitted").glob("*.java"))
    (folder / "Main.java").write_text(JAVA_PRODUCER, "utf-8")
    run(folder, "javac", "-cp", class_path(), "-d", "compiled", "Main.java", *map(str, sources))
    written = run(folder, "java", "-cp", f"compiled:{class_path()}", "Main")
    assert json.loads(written)["language"] is None, "Jackson writes what nobody has set"
    with Sprat(models="fixed", environment={"SPRAT_STRICT_TEXTS": "true"}) as sprat:
        sprat.answer("balance", intent="balance", confidence=0.9)
        result = sprat.result(sprat.publish_record(written.encode()), timeout=30)
    assert (result.status, result.tenant, result.warnings) == ("answered", "acme-bank", ())


@needs("go")
def test_go_types_of_every_schema_compile_and_read_a_result(folder: Path) -> None:
    generate(folder, "classes-go")
    made = {path.parent.name for path in (folder / "classes").rglob("*.go")}
    assert len(made) == len(list(SCHEMAS.glob("dev.*.json")))
    (folder / "go.mod").write_text("module example\n\ngo 1.26\n", "utf-8")
    (folder / "main.go").write_text(GO.replace("READ", programs()["classes-go-read"]), "utf-8")
    run(folder, "go", "vet", "./classes/...", ".")
    assert run(folder, "go", "run", ".", given=json.dumps(example())) == "order-4711/message-3 pay_bill 41 <nil>\n"


def test_typescript_types_of_every_schema_compile_and_fit_a_result(folder: Path) -> None:
    generate(folder, "classes-typescript")
    made = sorted((folder / "classes").glob("*.d.ts"))
    assert [path.name.removesuffix(".d.ts") for path in made] == sorted(
        path.stem for path in SCHEMAS.glob("dev.*.json")
    )
    program = TYPESCRIPT.replace("EXAMPLE", json.dumps(example()))
    check = ("npx", "tsc", "--noEmit", "--strict", "--module", "nodenext", "--target", "es2022")
    (folder / "main.ts").write_text(program, "utf-8")
    run(folder, *check, "main.ts", *map(str, made))
    (folder / "main.ts").write_text(UNCHECKED, "utf-8")
    run(folder, *check, "main.ts", *map(str, made))  # the page says so
    (folder / "main.ts").write_text(program + WRONG, "utf-8")
    run(folder, *check, "main.ts", succeed=False)
