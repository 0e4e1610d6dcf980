"""What is found in the files of a training, a sentence each."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from sprat_training.datasets.config import TrainingConfig
from sprat_training.datasets.doubles import find_doubles
from sprat_training.datasets.sources import read_sources
from sprat_training.findings import label_findings
from sprat_training.thresholds import Rows
from support.dataset_files import write_file

OPENINGS = ("", "Hello, ", "Good morning, ", "Dear team, ", "Could you tell me: ", "Please help, ")
SENTENCES = {"badge": "my badge opens no door", "Badge": "I lost my key card", "leave": "how do I book my days off"}
ROWS = [(f"{opening}{sentence}", label) for label, sentence in SENTENCES.items() for opening in OPENINGS]

FINDINGS = """\
hr.csv is read as Windows-1252; if its letters look wrong, name another --encoding
hr.csv: columns that are not read: Nr
hr.csv: 1 row has neither text nor label and is skipped
1 row is left out, because it cannot be used
1 text has another label in a later file, which is used
1 row repeats a text with the same label; each text counts once
1 text has several labels; the most frequent one is used, on a tie the text is left out: rows 21, 22 of hr.csv: \
leave, badge
1 group of labels differs by case or white space alone, and each is learnt as a label of its own: "Badge" = \
"badge"; --merge-case takes each group as one label
1 label is left out for having too few texts: odd
3 labels have few texts, so little is known of them: Badge 6, leave 6, badge 7
1 row of the test is trained on, too, and left out of its figures: 2
2 texts are longer than the encoder reads
16 of 19 texts repeat another one of their label but for opening, ending, numbers or a few words, as rows from a \
template do: they are held out together, so the figures rest on 3 different sentences
3 labels have fewer than 5 different sentences, so the figures are too good for what people write: Badge 1, \
badge 1, leave 1; add texts in other words
1 row of the test repeats a text that is trained on, but for opening or ending: 3 of test.csv; without, 100.0% \
(20.6% to 100.0%) of 1 are right
1 row is left out because its label is doubted
2 labels are doubted; many may be right: check them, and correct what is wrong; a wrong row may be missing
the encoder reads every text: no stage by words was found that answers at least 20% of them and is surely no \
worse
"""


def test_each_finding_is_a_sentence_that_says_what_was_done(tmp_path):
    rows = [*ROWS, ROWS[0], ("where is it", "leave"), ("where is it", "badge"), ("right", "leave"), ("rare", "odd")]
    table = ["Nr;Anfrage;Kategorie", *(f"{number};{text};{label}" for number, (text, label) in enumerate(rows))]
    files = (
        write_file(tmp_path, "hr.csv", "\r\n".join([*table, "98;;", "99;;für immer", ""]).encode("cp1252")),
        write_file(tmp_path, "corrected.csv", "text,label\nright,badge\n"),
    )
    asked = ["text,label", f"{ROWS[0][0]},badge", "So my badge opens no door,badge", "quite another,leave"]
    test = write_file(tmp_path, "test.csv", "\n".join(asked) + "\n")
    config = TrainingConfig(
        files, tmp_path / "hr", "hr", drop_small=True, skip_bad_rows=tmp_path / "bad.csv", test_file=test
    )
    sources = read_sources(config)
    doubles = replace(
        find_doubles(sources.data, np.zeros(len(sources.data.texts), np.int64), ()), test=np.array([1, 0]) > 0
    )
    fitted = SimpleNamespace(
        config=config, sources=sources, data=sources.data, truncated=2, dropped=(1,), label_issues=(1, 2), stage=None
    )
    figures = SimpleNamespace(texts=2, rows=Rows.of([0.9, 0.9], [True, True]))
    assert list(label_findings(fitted, doubles, figures)) == FINDINGS.splitlines()
