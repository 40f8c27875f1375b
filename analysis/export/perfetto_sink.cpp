#include "analysis/export/perfetto_sink.h"

#include <algorithm>
#include <array>
#include <protozero/buffer_fixed.hpp>
#include <protozero/buffer_string.hpp>
#include <protozero/pbf_builder.hpp>

#include "analysis/export/perfetto_fields.h"
#include "analysis/export/utf8.h"

namespace hvsim::analysis {
namespace {

/// The only sequence of the file.
constexpr std::uint32_t kSequence = 1;

// Events are many: their messages are built in buffers of fixed size and copied, which is four
// times as fast as messages whose length is put in afterwards.
using Fixed = protozero::fixed_size_buffer_adaptor;
template <typename Field>
using FixedBuilder = protozero::basic_pbf_builder<Fixed, Field>;
template <typename Field>
using Builder = protozero::pbf_builder<Field>;

using PacketField = perfetto::TracePacket;
using EventField = perfetto::TrackEvent;

void add_detail(FixedBuilder<EventField>& event, const Detail& detail) {
    using Field = perfetto::DebugAnnotation;
    std::array<char, 64> bytes;
    Fixed buffer(bytes.data(), bytes.size());
    FixedBuilder<Field> annotation(buffer);
    annotation.add_uint64(Field::name_iid, static_cast<std::uint64_t>(detail.name));
    switch (detail.form) {
        case Detail::Form::decimal:
            annotation.add_uint64(Field::uint_value, detail.value);
            break;
        case Detail::Form::hexadecimal:
            annotation.add_uint64(Field::pointer_value, detail.value);
            break;
        case Detail::Form::text:
            annotation.add_uint64(Field::string_value_iid, detail.value);
            break;
    }
    event.add_message(EventField::debug_annotations, buffer.data(), buffer.size());
}

}  // namespace

PerfettoSink::PerfettoSink(const std::filesystem::path& path)
    : file_(path), event_(kLongestEvent), packet_(kLongestEvent + 64) {
    packets_.reserve(kPiece + 2 * kLongestEvent);
    Builder<perfetto::Trace> trace(packets_);
    Builder<PacketField> packet(trace, perfetto::Trace::packet);
    packet.add_uint32(PacketField::trusted_packet_sequence_id, kSequence);
    packet.add_uint32(PacketField::sequence_flags, perfetto::kSeqIncrementalStateCleared);
}

StringId PerfettoSink::string(std::string_view text) {
    const auto known = strings_.find(text);
    if (known != strings_.end()) return known->second;
    const auto id = static_cast<StringId>(strings_.size() + 1);
    strings_.emplace(text, id);
    const std::string valid = valid_utf8(text);
    Builder<perfetto::Trace> trace(packets_);
    Builder<PacketField> packet(trace, perfetto::Trace::packet);
    packet.add_uint32(PacketField::trusted_packet_sequence_id, kSequence);
    packet.add_uint32(PacketField::sequence_flags, perfetto::kSeqNeedsIncrementalState);
    Builder<perfetto::InternedData> data(packet, PacketField::interned_data);
    // One number for whatever it will be: the name of an event or of a detail, or a detail.
    for (const auto field :
         {perfetto::InternedData::event_names, perfetto::InternedData::debug_annotation_names,
          perfetto::InternedData::debug_annotation_string_values}) {
        Builder<perfetto::Interned> entry(data, field);
        entry.add_uint64(perfetto::Interned::iid, static_cast<std::uint64_t>(id));
        entry.add_string(perfetto::Interned::text, valid);
    }
    return id;
}

TrackId PerfettoSink::add_track(const Track& track) {
    using Field = perfetto::TrackDescriptor;
    const std::uint64_t id = ++tracks_;
    Builder<perfetto::Trace> trace(packets_);
    Builder<PacketField> packet(trace, perfetto::Trace::packet);
    packet.add_uint32(PacketField::trusted_packet_sequence_id, kSequence);
    Builder<Field> descriptor(packet, PacketField::track_descriptor);
    descriptor.add_uint64(Field::uuid, id);
    descriptor.add_string(Field::name, valid_utf8(track.name));
    if (track.parent != TrackId::none)
        descriptor.add_uint64(Field::parent_uuid, static_cast<std::uint64_t>(track.parent));
    if (track.kind == TrackKind::counter) {
        Builder<perfetto::CounterDescriptor> counter(descriptor, Field::counter);
        counter.add_string(perfetto::CounterDescriptor::unit_name, std::string(track.unit));
    }
    descriptor.add_enum(Field::child_ordering, perfetto::kOrderingExplicit);
    descriptor.add_int32(Field::sibling_order_rank, track.rank);
    if (!track.description.empty())
        descriptor.add_string(Field::description, std::string(track.description));
    return static_cast<TrackId>(id);
}

void PerfettoSink::packet(sim::Time time, const char* event, std::size_t size) {
    Fixed buffer(packet_.data(), packet_.size());
    FixedBuilder<PacketField> packet(buffer);
    packet.add_uint64(PacketField::timestamp, time / sim::kNanosecond);
    packet.add_uint32(PacketField::trusted_packet_sequence_id, kSequence);
    packet.add_uint32(PacketField::sequence_flags, perfetto::kSeqNeedsIncrementalState);
    packet.add_message(PacketField::track_event, event, size);
    Builder<perfetto::Trace>(packets_).add_message(perfetto::Trace::packet, buffer.data(),
                                                   buffer.size());
    if (packets_.size() >= kPiece) write_piece();
}

void PerfettoSink::event(TrackId track, sim::Time time, std::int32_t type, const Mark& mark) {
    Fixed buffer(event_.data(), event_.size());
    FixedBuilder<EventField> event(buffer);
    event.add_enum(EventField::type, type);
    event.add_uint64(EventField::track_uuid, static_cast<std::uint64_t>(track));
    if (mark.label.id != StringId::none)
        event.add_uint64(EventField::name_iid, static_cast<std::uint64_t>(mark.label.id));
    else if (!mark.label.text.empty())
        event.add_string(EventField::name, valid_utf8(mark.label.text.substr(0, kLongestText)));
    for (const Detail& detail : mark.details) add_detail(event, detail);
    for (const Flow& flow : mark.flows.first(std::min(mark.flows.size(), kMostFlows)))
        event.add_fixed64(
            flow.step == Flow::Step::last ? EventField::terminating_flow_ids : EventField::flow_ids,
            flow.id);
    packet(time, buffer.data(), buffer.size());
}

void PerfettoSink::slice(TrackId track, sim::Time begin, sim::Time end, const Mark& mark) {
    event(track, begin, perfetto::kTypeSliceBegin, mark);
    event(track, end, perfetto::kTypeSliceEnd, {});
}

void PerfettoSink::open(TrackId track, sim::Time begin, const Mark& mark) {
    event(track, begin, perfetto::kTypeSliceBegin, mark);
}

void PerfettoSink::close(TrackId track, sim::Time end) {
    event(track, end, perfetto::kTypeSliceEnd, {});
}

void PerfettoSink::instant(TrackId track, sim::Time time, const Mark& mark) {
    event(track, time, perfetto::kTypeInstant, mark);
}

void PerfettoSink::counter(TrackId track, sim::Time time, std::int64_t value) {
    Fixed buffer(event_.data(), event_.size());
    FixedBuilder<EventField> event(buffer);
    event.add_enum(EventField::type, perfetto::kTypeCounter);
    event.add_uint64(EventField::track_uuid, static_cast<std::uint64_t>(track));
    event.add_int64(EventField::counter_value, value);
    packet(time, buffer.data(), buffer.size());
}

void PerfettoSink::counter(TrackId track, sim::Time time, double value) {
    Fixed buffer(event_.data(), event_.size());
    FixedBuilder<EventField> event(buffer);
    event.add_enum(EventField::type, perfetto::kTypeCounter);
    event.add_uint64(EventField::track_uuid, static_cast<std::uint64_t>(track));
    event.add_double(EventField::double_counter_value, value);
    packet(time, buffer.data(), buffer.size());
}

void PerfettoSink::write_piece() {
    file_.write(packets_);
    packets_.clear();
}

void PerfettoSink::finish() {
    write_piece();
    file_.finish();
}

}  // namespace hvsim::analysis
