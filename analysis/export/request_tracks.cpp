#include "analysis/export/request_tracks.h"

#include <algorithm>

#include "analysis/timeline/argument.h"

namespace hvsim::analysis {
namespace {

using sim::EventKind;
using sim::kNever;

constexpr unsigned kScsiOperation = argument_index(EventKind::kScsiRequest, "operation");
constexpr unsigned kDiskOpcode = argument_index(EventKind::kDiskRequest, "opcode");

}  // namespace

std::size_t Lanes::place(sim::Time begin, sim::Time end) {
    std::size_t lane = 0;
    while (lane < ends_.size() && ends_[lane] > begin) ++lane;
    if (lane == ends_.size()) ends_.push_back(0);
    ends_[lane] = end;
    return lane;
}

RequestTracks::RequestTracks(TrackTree& tree, TrackNames& names, TrackSink& sink)
    : tree_(tree), names_(names), sink_(sink) {
    strings_.packet = sink.string("packet");
    strings_.hypercall = sink.string("hypercall");
    strings_.ring = sink.string("in the ring");
    strings_.provider = sink.string("provider");
    strings_.controller = sink.string("disk controller");
    strings_.dma = sink.string("DMA");
    strings_.interrupt = sink.string("interrupt");
    strings_.completion = sink.string("completion");
    strings_.signal = sink.string("signal");
    strings_.guest_interrupt = sink.string("guest interrupt");
    strings_.transaction = sink.string("transaction");
    strings_.operation = sink.string("operation");
    strings_.lba = sink.string("lba");
    strings_.bytes = sink.string("bytes");
    strings_.commands = sink.string("commands");
    strings_.srb_status = sink.string("srb_status");
    strings_.scsi_status = sink.string("scsi_status");
    strings_.request = sink.string("request");
    strings_.command_id = sink.string("command_id");
    strings_.status = sink.string("status");
    strings_.begin = sink.string("begin_ps");
    strings_.duration = sink.string("duration_ps");
}

void RequestTracks::draw_stages(TrackId track, std::span<const Stage> stages, sim::Time end) {
    const Stage* last = nullptr;
    sim::Time begin = 0;
    const auto draw = [&](sim::Time until) {
        if (last == nullptr) return;
        sink_.slice(track, begin, until,
                    {{last->name}, {}, std::span(&last->flow, last->flow.id != 0 ? 1 : 0)});
    };
    // Another processor's events may step back; stages do not.
    for (const Stage& stage : stages) {
        if (stage.begin == kNever) continue;
        const sim::Time next = std::min(std::max(stage.begin, begin), end);
        draw(next);
        begin = next;
        last = &stage;
    }
    draw(end);
}

void RequestTracks::on_request(const ChannelRequest& request) {
    const sim::Time begin = request.begin(), end = std::max(request.end(), begin);
    const std::size_t lane = channels_[{request.partition, request.relid}].place(begin, end);
    const TrackId track = tree_.channel_lane(request.partition, request.relid, lane);
    using Form = Detail::Form;
    Detail details[] = {
        {strings_.request, Form::decimal, request.number},
        {strings_.begin, Form::decimal, begin},
        {strings_.duration, Form::decimal, end - begin},
        {strings_.transaction, Form::hexadecimal, request.transaction},
        {strings_.lba, Form::decimal, request.lba},
        {strings_.bytes, Form::decimal, request.bytes},
        {strings_.commands, Form::decimal, request.commands},
        {strings_.srb_status, Form::hexadecimal, request.srb_status},
        {strings_.scsi_status, Form::hexadecimal, request.scsi_status},
    };
    Label label{strings_.packet};
    if (request.scsi) {
        const Detail operation =
            names_.argument(EventKind::kScsiRequest, kScsiOperation, request.operation);
        if (operation.form == Form::text) label.id = static_cast<StringId>(operation.value);
    }
    const std::uint64_t flow = request_flow(request.signal, request.number);
    const Stage stages[] = {
        {strings_.hypercall, request.signalled, {}},
        {strings_.ring, request.noticed, {}},
        {strings_.provider,
         request.taken,
         {flow, request.signal != 0 ? Flow::Step::middle : Flow::Step::first}},
        {strings_.controller, request.disk_taken, {}},
        {strings_.dma, request.disk_transfer, {}},
        {strings_.interrupt, request.disk_completed, {}},
        {strings_.completion,
         request.disk_interrupt != kNever ? request.disk_interrupt : request.provider_end,
         {flow, Flow::Step::last}},
        {strings_.signal, request.answered, {}},
        {strings_.guest_interrupt,
         request.answer_signalled,
         {signal_flow(request.answer_signal), Flow::Step::middle}},
    };
    sink_.open(track, begin, {label, std::span(details).first(request.scsi ? 9 : 4)});
    draw_stages(track, stages, end);
    sink_.close(track, end);
}

void RequestTracks::on_command(const DiskCommand& command, sim::Time last) {
    sim::Time end = command.interrupt != kNever   ? command.interrupt
                    : command.completed != kNever ? command.completed
                                                  : last;
    end = std::max(end, command.taken);
    const TrackId track = tree_.disk_lane(disk_.place(command.taken, end));
    using Form = Detail::Form;
    const Detail details[] = {
        {strings_.command_id, Form::decimal, command.command_id},
        {strings_.begin, Form::decimal, command.taken},
        {strings_.duration, Form::decimal, end - command.taken},
        {strings_.lba, Form::decimal, command.lba},
        {strings_.bytes, Form::decimal, command.bytes},
        {strings_.status, Form::hexadecimal, command.status},
        {strings_.request, Form::decimal, command.request},
    };
    Label label{strings_.controller};
    const Detail opcode = names_.argument(EventKind::kDiskRequest, kDiskOpcode, command.opcode);
    if (opcode.form == Form::text) label.id = static_cast<StringId>(opcode.value);
    const Flow flow{command.request != 0 ? request_flow(command.signal, command.request) : 0,
                    Flow::Step::middle};
    const Stage stages[] = {
        {strings_.controller, command.taken, flow},
        {strings_.dma, command.transfer, flow},
        {strings_.interrupt, command.completed, flow},
    };
    sink_.open(track, command.taken,
               {label, std::span(details).first(command.request != 0 ? 7 : 6)});
    draw_stages(track, stages, end);
    sink_.close(track, end);
}

void RequestTracks::on_depth(const QueueDepth& depth) {
    const TrackId track = depth.partition == sim::kNoUnit
                              ? tree_.disk_depth()
                              : tree_.channel_depth(depth.partition, depth.relid);
    sink_.counter(track, depth.time, static_cast<std::int64_t>(depth.open));
}

}  // namespace hvsim::analysis
