//! The metrics of `/metrics`, each with a sentence that says what it counts.
//!
//! One list for the whole program. A test looks for every place where a metric is recorded, and
//! fails for one without its sentence.

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const FIGURES: [(&str, Kind, &str); 23] = [
    (
        "http_request_duration_seconds",
        Kind::Histogram,
        "Time from the head of an HTTP request to its answer, by method, route template and status.",
    ),
    (
        "jangbu_commands_total",
        Kind::Counter,
        "Commands that the decider has answered, by command and by what came of it.",
    ),
    (
        "jangbu_connections_refused_total",
        Kind::Counter,
        "Connections closed at once, because their address held its share of all connections.",
    ),
    ("jangbu_command_queue_depth", Kind::Gauge, "Commands that wait for the decider."),
    ("jangbu_command_batch_events", Kind::Histogram, "Events of one commit to the log."),
    ("jangbu_commit_seconds", Kind::Histogram, "Time of one commit to the log, from its begin to the disk's answer."),
    (
        "jangbu_command_stage_seconds",
        Kind::Histogram,
        "Time that commands stay in a stage: `queued` until they are decided, `batched` until they are sent to the \
         log, `committed` until they are durable, `settled` until they are answered.",
    ),
    ("jangbu_decider_cached_states", Kind::Gauge, "Aggregates whose state the decider holds in memory."),
    ("jangbu_inbox_messages_total", Kind::Counter, "Messages of gateways and carriers, by what came of them."),
    (
        "jangbu_notices_total",
        Kind::Counter,
        "Attempts to tell somebody of something, by channel and by what came of them.",
    ),
    ("jangbu_never_total", Kind::Counter, "Times that something happened that cannot be, by the place in the code."),
    ("jangbu_log_lines_lost_total", Kind::Counter, "Lines of the log that could not be written and are lost."),
    (
        "jangbu_process_events_passed_over_total",
        Kind::Counter,
        "Events that cannot be read and that the process manager went past.",
    ),
    (
        "jangbu_process_parked_orders",
        Kind::Gauge,
        "Orders that the process manager leaves alone, because something of theirs cannot be read.",
    ),
    (
        "jangbu_process_parked_total",
        Kind::Counter,
        "Times that an order was left alone, because something of it cannot be read.",
    ),
    (
        "jangbu_unreadable_personal_data_total",
        Kind::Counter,
        "Times that personal data was to be shown and its key did not open it.",
    ),
    (
        "jangbu_passwords_turned_away_total",
        Kind::Counter,
        "Passwords that were not looked at, because too many waited or too many were wrong before.",
    ),
    ("jangbu_wrong_passwords_total", Kind::Counter, "Passwords that were looked at and were wrong."),
    (
        "jangbu_process_commands_total",
        Kind::Counter,
        "Commands and outside calls of the process manager, by name and by what came of them.",
    ),
    ("jangbu_process_commands_under_way", Kind::Gauge, "Commands of the process manager that are not finished."),
    (
        "jangbu_process_manager_active",
        Kind::Gauge,
        "1 on the node that carries orders through payment and shipping, 0 on those that stand by.",
    ),
    (
        "jangbu_seal_failures_total",
        Kind::Counter,
        "Times that the log could not be sealed; it is tried again each second.",
    ),
    (
        "jangbu_process_set_aside_total",
        Kind::Counter,
        "Decisions that stood alone because the processes could not be taken along; these catch up.",
    ),
];

/// Registers the descriptions with the recorder of this process.
pub fn describe() {
    for (name, kind, text) in FIGURES {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, text),
            Kind::Gauge => metrics::describe_gauge!(name, text),
            Kind::Histogram => metrics::describe_histogram!(name, text),
        }
    }
}
