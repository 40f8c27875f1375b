#include "vmbus-model/gpadl.h"

namespace hvsim::vmbus {
namespace {

constexpr std::size_t kUnit = sizeof(std::uint64_t);

}  // namespace

GpadlTable::Step GpadlTable::begin(const spec::GpadlHeader& header,
                                   std::span<const std::uint8_t> bytes) {
    const std::size_t announced = header.range_buffer_length;
    if (header.range_count == 0 || announced == 0 || announced % kUnit != 0) return Step::refused;
    if (gpadls_.contains(header.gpadl) || gpadls_.size() >= limits_.handles ||
        pages_ + announced / kUnit > limits_.pages)
        return Step::refused;
    pages_ += announced / kUnit;
    const auto it = gpadls_.try_emplace(header.gpadl).first;
    it->second.relid = header.relid;
    it->second.range_count = header.range_count;
    it->second.announced = announced;
    const Step step = take(it->second, bytes);
    if (step == Step::refused) forget(it);
    return step;
}

GpadlTable::Step GpadlTable::append(std::uint32_t handle, std::span<const std::uint8_t> bytes,
                                    std::uint32_t& relid) {
    const auto it = gpadls_.find(handle);
    if (it == gpadls_.end() || it->second.state != GpadlState::in_progress) return Step::unknown;
    relid = it->second.relid;
    const Step step = take(it->second, bytes);
    if (step == Step::refused) forget(it);
    return step;
}

GpadlTable::Step GpadlTable::take(Gpadl& gpadl, std::span<const std::uint8_t> bytes) {
    // A message may end with up to 7 bytes that make no whole unit; they carry nothing.
    const std::size_t length = bytes.size() / kUnit * kUnit;
    if (length > gpadl.announced - gpadl.buffer.size()) return Step::refused;
    // An empty body makes no progress; it would let a guest keep a GPADL open at no cost to itself.
    if (length == 0 && !gpadl.buffer.empty()) return Step::refused;
    gpadl.buffer.insert(gpadl.buffer.end(), bytes.begin(),
                        bytes.begin() + static_cast<std::ptrdiff_t>(length));
    if (gpadl.buffer.size() < gpadl.announced) return Step::incomplete;
    std::size_t used = 0;
    if (!parse_gpa_ranges(gpadl.buffer, gpadl.range_count, gpadl.ranges, used) ||
        used != gpadl.announced)
        return Step::refused;
    gpadl.buffer = {};
    gpadl.state = GpadlState::created;
    return Step::created;
}

Gpadl* GpadlTable::find(std::uint32_t handle) {
    const auto it = gpadls_.find(handle);
    return it == gpadls_.end() ? nullptr : &it->second;
}

const Gpadl* GpadlTable::created(std::uint32_t handle, std::uint32_t relid) const {
    const auto it = gpadls_.find(handle);
    if (it == gpadls_.end() || it->second.state != GpadlState::created || it->second.relid != relid)
        return nullptr;
    return &it->second;
}

void GpadlTable::forget(std::map<std::uint32_t, Gpadl>::iterator it) {
    pages_ -= it->second.announced / kUnit;
    gpadls_.erase(it);
}

void GpadlTable::erase(std::uint32_t handle) {
    const auto it = gpadls_.find(handle);
    if (it != gpadls_.end()) forget(it);
}

void GpadlTable::erase_channel(std::uint32_t relid) {
    for (auto it = gpadls_.begin(); it != gpadls_.end();) {
        const auto next = std::next(it);
        if (it->second.relid == relid) forget(it);
        it = next;
    }
}

void GpadlTable::clear() {
    gpadls_.clear();
    pages_ = 0;
}

}  // namespace hvsim::vmbus
