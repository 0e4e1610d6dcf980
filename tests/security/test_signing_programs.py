"""The programs that the page shows sign as the published vectors say: in Python, Java and Node.js."""

import json
import subprocess
from pathlib import Path

from support.programs import needs
from support.readme import ROOT, programs

VECTORS: list[dict[str, str]] = json.loads((ROOT / "contracts/schemas/test_vectors.json").read_text("utf-8"))[
    "signatures"
]["signed"]
EXPECTED = [vector["signature"] for vector in VECTORS]
NAMES = ("key", "tenant", "source", "id", "value")
JAVA_MAIN = """
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Vectors {
  public static void main(String[] arguments) throws Exception {
    var lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
    for (var line = lines.readLine(); line != null; line = lines.readLine()) {
      var parts = new byte[5][];
      var words = line.split(",", -1);
      for (int i = 0; i < 5; i++) parts[i] = HexFormat.of().parseHex(words[i]);
      System.out.println(TextSignature.sign(
          parts[0], new String(parts[1], UTF_8), new String(parts[2], UTF_8), new String(parts[3], UTF_8), parts[4]));
    }
  }
}
"""
NODE_MAIN = """
import { readFileSync } from "node:fs";
import { sign } from "./sign.mjs";

for (const line of readFileSync(0, "utf8").split("\\n")) {
  const parts = line.split(",").map((word) => Buffer.from(word, "hex"));
  const [tenant, source, id] = parts.slice(1, 4).map((part) => part.toString("utf8"));
  console.log(sign(parts[0], tenant, source, id, parts[4]));
}
"""


def printed(*command: str, folder: Path) -> list[str]:
    """Run a program that signs each line of its input: the parts in hex, separated by commas."""
    lines = "\n".join(",".join(vector[name].encode().hex() for name in NAMES) for vector in VECTORS)
    done = subprocess.run(command, cwd=folder, input=lines, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_python_signs_as_the_vectors_say() -> None:
    names: dict[str, object] = {}
    exec(programs()["sign-python"], names)
    sign = names["sign"]
    assert callable(sign)
    parts = [[vector[name] for name in NAMES] for vector in VECTORS]
    assert [sign(key.encode(), *about, value.encode()) for key, *about, value in parts] == EXPECTED


@needs("javac")
def test_java_signs_as_the_vectors_say(tmp_path: Path) -> None:
    (tmp_path / "TextSignature.java").write_text(programs()["sign-java"], "utf-8")
    (tmp_path / "Vectors.java").write_text(JAVA_MAIN, "utf-8")
    subprocess.run(["javac", "--release", "17", "Vectors.java"], cwd=tmp_path, check=True, timeout=120)
    assert printed("java", "-Xmx128m", "Vectors", folder=tmp_path) == EXPECTED


@needs("node")
def test_node_signs_as_the_vectors_say(tmp_path: Path) -> None:
    (tmp_path / "sign.mjs").write_text(programs()["sign-node"], "utf-8")
    (tmp_path / "main.mjs").write_text(NODE_MAIN, "utf-8")
    assert printed("node", "main.mjs", folder=tmp_path) == EXPECTED
