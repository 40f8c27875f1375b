#include "analysis/timeline/timeline.h"

#include "analysis/timeline/argument.h"
#include "analysis/timeline/console_lines.h"
#include "analysis/timeline/processor_spans.h"
#include "analysis/timeline/request_spans.h"

namespace hvsim::analysis {

Timeline::Timeline(TimelineListener& listener)
    : listener_(listener),
      processors_(std::make_unique<Processors>(listener)),
      requests_(std::make_unique<Requests>(listener, *processors_)),
      consoles_(std::make_unique<Consoles>(listener)) {}

Timeline::~Timeline() = default;

void Timeline::on_event(const sim::Event& event) {
    listener_.on_event(event);
    processors_->on_event(event);
    if (event.kind == sim::EventKind::kConsole)
        consoles_->on_byte(
            event.subject, event.time,
            static_cast<std::uint8_t>(argument<sim::EventKind::kConsole, "byte">(event)));
    else
        requests_->on_event(event);
}

void Timeline::finish() {
    requests_->finish();
    consoles_->finish();
    processors_->finish();
}

}  // namespace hvsim::analysis
