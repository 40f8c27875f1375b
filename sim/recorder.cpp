#include "sim/recorder.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <bit>
#include <cstring>

#include "sim/error.h"

namespace hvsim::sim {

// Events are small and frequent: they are collected as words and hashed in blocks.
struct Digest::State {
    static constexpr std::size_t kWords = 4096;
    XXH3_state_t* hash = XXH3_createState();
    std::array<std::uint64_t, kWords> words;
    std::size_t used = 0;
};

Digest::Digest() : state_(std::make_unique<State>()) {
    SIM_ASSERT(state_->hash != nullptr);
    XXH3_128bits_reset(state_->hash);
}

Digest::~Digest() {
    XXH3_freeState(state_->hash);
}

void Digest::flush() const {
    static_assert(std::endian::native == std::endian::little);
    XXH3_128bits_update(state_->hash, state_->words.data(), state_->used * sizeof(std::uint64_t));
    state_->used = 0;
}

void Digest::add_bytes(const void* data, std::size_t size) {
    flush();
    XXH3_128bits_update(state_->hash, data, size);
}

void Digest::add(std::uint64_t value) {
    if (state_->used == State::kWords) flush();
    state_->words[state_->used++] = value;
}

void Digest::add(const Event& event) {
    constexpr std::size_t kEventWords = 6;
    if (state_->used + kEventWords > State::kWords) flush();
    std::uint64_t* word = state_->words.data() + state_->used;
    word[0] = event.time;
    word[1] = static_cast<std::uint64_t>(event.kind) |
              static_cast<std::uint64_t>(event.subject.lp) << 8 |
              static_cast<std::uint64_t>(event.subject.partition) << 24 |
              static_cast<std::uint64_t>(event.subject.vp) << 40;
    for (std::size_t i = 0; i < 4; ++i) word[2 + i] = event.arguments[i];
    state_->used += kEventWords;
}

std::string Digest::hex() const {
    flush();
    const XXH128_hash_t value = XXH3_128bits_digest(state_->hash);
    return fmt::format("{:016x}{:016x}", value.high64, value.low64);
}

std::uint32_t Digest::short_value() const {
    flush();
    return static_cast<std::uint32_t>(XXH3_128bits_digest(state_->hash).low64);
}

void IntervalDigests::close(Time time, const Digest& digest) {
    if (end_ != 0) closed_.push_back({(end_ - 1) / kDigestInterval, digest.short_value()});
    const Time begin = time - time % kDigestInterval;
    end_ = begin > kNever - kDigestInterval ? kNever : begin + kDigestInterval;
}

std::vector<IntervalDigest> IntervalDigests::up_to_now(const Digest& digest) const {
    std::vector<IntervalDigest> all = closed_;
    if (end_ != 0) all.push_back({(end_ - 1) / kDigestInterval, digest.short_value()});
    return all;
}

void Recorder::record(EventKind kind, Time time, Subject subject, std::uint64_t a, std::uint64_t b,
                      std::uint64_t c, std::uint64_t d) {
    const EventLevel level = describe(kind).level;
    counts_[static_cast<std::size_t>(kind)]++;
    Event& event = ring_[recorded_ % kKept];
    event = {time, kind, subject, {a, b, c, d}};
    ++recorded_;
    if (level == EventLevel::event) {
        intervals_.before(time, digest_);
        digest_.add(event);
    }
    if (sink_ == nullptr) return;
    if (level != EventLevel::walk || level_ == EventLevel::walk) sink_->on_event(event);
}

std::vector<Event> Recorder::last_events() const {
    std::vector<Event> events;
    const std::uint64_t first = recorded_ > kKept ? recorded_ - kKept : 0;
    for (std::uint64_t i = first; i < recorded_; ++i) events.push_back(ring_[i % kKept]);
    return events;
}

}  // namespace hvsim::sim
