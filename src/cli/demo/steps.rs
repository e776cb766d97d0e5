//! The steps of the demonstration.

/// A comment, and the commands that it announces.
pub(super) type Step = (&'static str, &'static [&'static [&'static str]]);

/// The steps of the demonstration, in order.
pub(super) const STEPS: &[Step] = &[
    (
        "Make a registry in the base directory. Nothing else is touched.",
        &[&["init"]],
    ),
    (
        "Add what the runs wrote, and count bytes and files.",
        &[&["scan", "--measure"]],
    ),
    ("What does each run have?", &[&["runs"]]),
    (
        "Which iterations have validation outputs? (4000 lacks those of one dataset.)",
        &[&["iterations", "--run", "affinities"]],
    ),
    (
        "Which arrays are those of the last one?",
        &[&[
            "list",
            "--run",
            "affinities",
            "--kind",
            "output",
            "--iteration",
            "4000..",
        ]],
    ),
    (
        "Where does an array of a coming validation go? The path is DaCapo's own.",
        &[&[
            "record",
            "prediction",
            "--run",
            "affinities",
            "--iteration",
            "5000",
            "--dataset",
            "crop7",
        ]],
    ),
    (
        "Record how good each iteration was: variation of information, less is better.",
        &[
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "1000",
                "voi=0.52",
            ],
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "2000",
                "voi=0.38",
            ],
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "3000",
                "voi=0.31",
            ],
            &[
                "score",
                "--run",
                "affinities",
                "--iteration",
                "4000",
                "voi=0.33",
            ],
        ],
    ),
    (
        "What a paper shows must stay: a pin refuses every removal.",
        &[&[
            "pin",
            "figure-3",
            "--run",
            "affinities",
            "--iteration",
            "1000",
            "--reason",
            "shown in figure 3",
        ]],
    ),
    (
        "Which predictions may go, if the newest and the best stay? This only plans.",
        &[&[
            "gc",
            "--run",
            "affinities",
            "--kind",
            "prediction",
            "--keep-last",
            "1",
            "--keep-best",
            "1",
            "--metric",
            "voi:min",
        ]],
    ),
    (
        "Carry it out, rows and data together, and keep the data in the trash for now.",
        &[&[
            "gc",
            "--run",
            "affinities",
            "--kind",
            "prediction",
            "--keep-last",
            "1",
            "--keep-best",
            "1",
            "--metric",
            "voi:min",
            "--apply",
            "--trash",
            "--yes",
            "--reason",
            "neither best nor newest",
        ]],
    ),
    (
        "They are gone for every reader.",
        &[&["iterations", "--run", "affinities"]],
    ),
    (
        "Who removed what, and why? The number of a removal begins with its time.",
        &[&["trash", "list"]],
    ),
    (
        "What takes the space? The trash does too, until it is emptied.",
        &[&["du", "--by", "kind"]],
    ),
    (
        "Undo: rows and data are back as they were.",
        &[&["restore", "--run", "affinities", "--iteration", "2000"]],
    ),
    (
        "Remove older iterations for good: their space is free at once.",
        &[&["rm", "--run", "distances", "--iteration", "..2000", "--yes"]],
    ),
    (
        "What is left of that run?",
        &[&["iterations", "--run", "distances"]],
    ),
    (
        "Who did all that? Every change is an operation; `dalsegno history show 1` shows one in \
         full.",
        &[&["history"]],
    ),
];
