#include "analysis/export/export.h"

#include <memory>
#include <vector>

#include "analysis/export/chrome_json_sink.h"
#include "analysis/export/csv_sink.h"
#include "analysis/export/perfetto_sink.h"
#include "analysis/export/sqlite_sink.h"
#include "analysis/export/table_builder.h"
#include "analysis/export/track_builder.h"
#include "analysis/timeline/timeline.h"
#include "analysis/timeline/trace_source.h"

namespace hvsim::analysis {
namespace {

/// A file format, from the timeline's spans to the file.
class Output {
  public:
    virtual ~Output() = default;
    virtual TimelineListener& listener() = 0;
    /// The timeline is over: completes the file, which is not yet in its place.
    virtual void complete() = 0;
    virtual void commit() = 0;
};

class TrackOutput final : public Output {
  public:
    TrackOutput(const TraceSource& source, std::unique_ptr<TrackSink> sink)
        : sink_(std::move(sink)), builder_(source, *sink_) {}
    TimelineListener& listener() override { return builder_; }
    void complete() override {
        builder_.finish();
        sink_->finish();
    }
    void commit() override { sink_->commit(); }

  private:
    std::unique_ptr<TrackSink> sink_;
    TrackBuilder builder_;
};

class TableOutput final : public Output {
  public:
    TableOutput(const TraceSource& source, std::unique_ptr<TableSink> sink)
        : sink_(std::move(sink)), builder_(source, *sink_) {}
    TimelineListener& listener() override { return builder_; }
    void complete() override {
        builder_.finish();
        sink_->finish();
    }
    void commit() override { sink_->commit(); }

  private:
    std::unique_ptr<TableSink> sink_;
    TableBuilder builder_;
};

/// Several outputs of one reading.
class AllOf final : public TimelineListener {
  public:
    explicit AllOf(const std::vector<std::unique_ptr<Output>>& outputs) {
        for (const auto& output : outputs) listeners_.push_back(&output->listener());
    }
    void on_event(const sim::Event& event) override {
        for (TimelineListener* each : listeners_) each->on_event(event);
    }
    void on_processor(const ProcessorSpan& span) override {
        for (TimelineListener* each : listeners_) each->on_processor(span);
    }
    void on_exit(const ExitSpan& span) override {
        for (TimelineListener* each : listeners_) each->on_exit(span);
    }
    void on_command(const DiskCommand& command) override {
        for (TimelineListener* each : listeners_) each->on_command(command);
    }
    void on_request(const ChannelRequest& request) override {
        for (TimelineListener* each : listeners_) each->on_request(request);
    }
    void on_depth(const QueueDepth& depth) override {
        for (TimelineListener* each : listeners_) each->on_depth(depth);
    }
    void on_console_line(const ConsoleLine& line) override {
        for (TimelineListener* each : listeners_) each->on_console_line(line);
    }

  private:
    std::vector<TimelineListener*> listeners_;
};

std::vector<std::unique_ptr<Output>> make_outputs(const ExportRequest& request,
                                                  const TraceSource& source) {
    std::vector<std::unique_ptr<Output>> outputs;
    if (!request.perfetto.empty())
        outputs.push_back(std::make_unique<TrackOutput>(
            source, std::make_unique<PerfettoSink>(request.perfetto)));
    if (!request.chrome_json.empty())
        outputs.push_back(std::make_unique<TrackOutput>(
            source, std::make_unique<ChromeJsonSink>(request.chrome_json, source.info().scenario)));
    if (!request.csv.empty())
        outputs.push_back(
            std::make_unique<TableOutput>(source, std::make_unique<CsvSink>(request.csv)));
    if (!request.sqlite.empty())
        outputs.push_back(
            std::make_unique<TableOutput>(source, std::make_unique<SqliteSink>(request.sqlite)));
    return outputs;
}

}  // namespace

ExportResult export_trace(const ExportRequest& request) {
    TraceSource source(request.trace);
    const auto outputs = make_outputs(request, source);
    AllOf all(outputs);
    Timeline timeline(outputs.size() == 1 ? outputs.front()->listener() : all);
    while (const auto event = source.next()) timeline.on_event(*event);
    timeline.finish();
    for (const auto& output : outputs) output->complete();
    for (const auto& output : outputs) output->commit();
    return {source.events(), source.unknown(), source.status(), source.end_text()};
}

}  // namespace hvsim::analysis
