#pragma once
// A timeline as rows of tables (tables.h).
#include <string>
#include <vector>

#include "analysis/export/tables.h"
#include "analysis/timeline/spans.h"
#include "analysis/timeline/trace_source.h"

namespace hvsim::analysis {

class TableBuilder final : public TimelineListener {
  public:
    /// Both must outlive this object.
    TableBuilder(const TraceSource& source, TableSink& sink);

    void on_event(const sim::Event& event) override;
    void on_processor(const ProcessorSpan& span) override;
    void on_exit(const ExitSpan& span) override;
    void on_command(const DiskCommand& command) override;
    void on_request(const ChannelRequest& request) override;
    void on_depth(const QueueDepth& depth) override;
    void on_console_line(const ConsoleLine& line) override;
    /// After the timeline's finish(). The sink is not finished.
    void finish();

  private:
    void put_trace();
    void put_statistics();
    void put_names();

    const TraceSource& source_;
    TableSink& sink_;
    std::uint64_t events_ = 0;
    sim::Time last_ = 0;
};

}  // namespace hvsim::analysis
