#include "analysis/export/table_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/timeline/argument.h"

namespace hvsim::analysis {
namespace {

using sim::EventKind;

Cell unit(std::uint16_t number) {
    return number == sim::kNoUnit ? Cell{} : Cell{std::uint64_t{number}};
}

Cell time(sim::Time time) {
    return time == sim::kNever ? Cell{} : Cell{time};
}

/// Zero is none.
Cell some(std::uint64_t number) {
    return number == 0 ? Cell{} : Cell{number};
}

Cell given(bool there, std::uint64_t number) {
    return there ? Cell{number} : Cell{};
}

std::string_view mode_name(ProcessorMode mode) {
    switch (mode) {
        case ProcessorMode::guest:
            return "guest";
        case ProcessorMode::hypervisor:
            return "hypervisor";
        case ProcessorMode::switching:
            return "switching";
        case ProcessorMode::idle:
            return "idle";
    }
    return "";
}

}  // namespace

TableBuilder::TableBuilder(const TraceSource& source, TableSink& sink)
    : source_(source), sink_(sink) {
    put_names();
}

void TableBuilder::put_trace() {
    const sim::TraceInfo& info = source_.info();
    const auto put = [this](std::string_view name, const std::string& value) {
        const Cell row[] = {name, value};
        sink_.row(TableId::trace, row);
    };
    put("scenario", info.scenario);
    put("program_version", info.program_version);
    put("start_date", fmt::format("{} s since 1970-01-01 00:00 UTC", info.start_date));
    put("events", fmt::format("{}", source_.events()));
    put("unknown_events", fmt::format("{}", source_.unknown()));
    put("last_ps", fmt::format("{}", last_));
    put("end", source_.end_text().empty() ? "whole" : source_.end_text());
}

/// Out of the run's report (docs/report.md); a foreign file may have anything there.
void TableBuilder::put_statistics() {
    using Json = nlohmann::json;
    const Json report = Json::parse(source_.result(), nullptr, false);
    const auto list = report.is_object() ? report.find("statistics") : report.end();
    if (list == report.end() || !list->is_array()) return;
    const auto text = [](const Json& row, const char* key) {
        const auto found = row.find(key);
        return found != row.end() && found->is_string() ? found->get<std::string>() : "";
    };
    for (const Json& row : *list) {
        if (!row.is_object() || !row.contains("value") || !row["value"].is_number_unsigned())
            continue;
        const std::string name = text(row, "name"), unit = text(row, "unit"),
                          description = text(row, "description");
        const Cell cells[] = {name, row["value"].get<std::uint64_t>(), unit, description};
        sink_.row(TableId::statistics, cells);
    }
}

void TableBuilder::put_names() {
    for (const sim::EventDescription& kind : sim::kEventTable) {
        for (std::size_t i = 0; i < 4; ++i) {
            if (kind.arguments[i].empty()) continue;
            const Cell row[] = {kind.name, std::uint64_t{i + 1}, kind.arguments[i]};
            sink_.row(TableId::argument_names, row);
        }
    }
    for (const auto& [argument, values] : source_.names().tables()) {
        const std::string_view kind = sim::kEventTable.at(argument.kind).name;
        for (const auto& [value, name] : values) {
            const Cell row[] = {kind, std::uint64_t{argument.index} + 1, value, name};
            sink_.row(TableId::value_names, row);
        }
    }
}

void TableBuilder::on_event(const sim::Event& event) {
    last_ = std::max(last_, event.time);
    const Cell lp = unit(event.subject.lp), partition = unit(event.subject.partition),
               vp = unit(event.subject.vp);
    const auto& a = event.arguments;
    const auto& names = sim::describe(event.kind).arguments;
    Cell row[] = {
        ++events_, event.time, sim::describe(event.kind).name, lp, partition, vp, a[0], a[1],
        a[2],      a[3]};
    for (std::size_t i = 0; i < 4; ++i)
        if (names[i].empty()) row[6 + i] = {};
    sink_.row(TableId::events, row);
    if (event.kind == EventKind::kInterruptAccepted) {
        const std::string cause = source_.name_of(event.kind, 1, a[1]);
        const Cell cells[] = {partition, vp, lp, event.time, a[0], cause};
        sink_.row(TableId::interrupts, cells);
    } else if (event.kind == EventKind::kProcessorSample) {
        const Cell cells[] = {partition, vp, lp, event.time, a[0], a[1], a[2], a[3]};
        sink_.row(TableId::processor_samples, cells);
    } else if (event.kind == EventKind::kIommuSample) {
        const Cell cells[] = {event.time, a[0], a[1], a[2], a[3]};
        sink_.row(TableId::iommu_samples, cells);
    }
}

void TableBuilder::on_processor(const ProcessorSpan& span) {
    std::string reason;
    const bool handles = span.mode == ProcessorMode::hypervisor;
    if (handles) reason = source_.name_of(EventKind::kVmExit, 0, span.reason);
    const Cell row[] = {unit(span.lp),
                        mode_name(span.mode),
                        unit(span.runs.partition),
                        unit(span.runs.vp),
                        handles ? Cell{reason} : Cell{},
                        span.begin,
                        span.end};
    sink_.row(TableId::processor_spans, row);
}

void TableBuilder::on_exit(const ExitSpan& span) {
    const std::string reason = source_.name_of(EventKind::kVmExit, 0, span.reason);
    std::string detail;
    const bool known = span.intercept != EventKind::kVmExit;
    if (known) detail = source_.name_of(span.intercept, 0, span.number);
    const Cell row[] = {unit(span.subject.partition),
                        unit(span.subject.vp),
                        unit(span.subject.lp),
                        reason,
                        known ? Cell{detail} : Cell{},
                        span.begin,
                        time(span.end),
                        span.cost,
                        span.rip,
                        span.qualification,
                        span.guest_physical,
                        some(span.signal)};
    sink_.row(TableId::exits, row);
}

void TableBuilder::on_command(const DiskCommand& command) {
    const std::string opcode = source_.name_of(
        EventKind::kDiskRequest, argument_index(EventKind::kDiskRequest, "opcode"), command.opcode);
    const Cell row[] = {command.number,
                        command.command_id,
                        opcode,
                        command.lba,
                        command.blocks,
                        command.bytes,
                        given(command.completed != sim::kNever, command.status),
                        some(command.request),
                        time(command.issued),
                        time(command.taken),
                        time(command.transfer),
                        time(command.completed),
                        time(command.interrupt)};
    sink_.row(TableId::disk_commands, row);
}

void TableBuilder::on_request(const ChannelRequest& request) {
    const std::string operation =
        source_.name_of(EventKind::kScsiRequest,
                        argument_index(EventKind::kScsiRequest, "operation"), request.operation);
    const bool ended = request.provider_end != sim::kNever;
    const Cell row[] = {request.number,
                        unit(request.partition),
                        request.relid,
                        request.transaction,
                        request.scsi ? Cell{operation} : Cell{},
                        given(request.scsi, request.lba),
                        given(request.scsi, request.bytes),
                        given(ended, request.transferred),
                        given(ended, request.srb_status),
                        given(ended, request.scsi_status),
                        request.packet_bytes,
                        given(request.complete(), request.answer_bytes),
                        request.commands,
                        some(request.signal),
                        some(request.answer_signal),
                        time(request.signalled),
                        time(request.noticed),
                        time(request.taken),
                        time(request.provider_begin),
                        time(request.disk_taken),
                        time(request.disk_transfer),
                        time(request.disk_completed),
                        time(request.disk_interrupt),
                        time(request.provider_end),
                        time(request.answered),
                        time(request.answer_signalled),
                        time(request.interrupted)};
    sink_.row(TableId::requests, row);
}

void TableBuilder::on_depth(const QueueDepth& depth) {
    const Cell row[] = {unit(depth.partition), given(depth.partition != sim::kNoUnit, depth.relid),
                        depth.time, std::uint64_t{depth.open}};
    sink_.row(TableId::queue_depths, row);
}

void TableBuilder::on_console_line(const ConsoleLine& line) {
    const Cell row[] = {unit(line.subject.partition), line.begin, line.end, line.text};
    sink_.row(TableId::console_lines, row);
}

void TableBuilder::finish() {
    put_trace();
    put_statistics();
}

}  // namespace hvsim::analysis
