#pragma once
// A child partition made of plain memory and queues, for tests of the VMBus server.
#include <cstdint>
#include <cstring>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "vmbus-model/platform.h"
#include "vmbus-model/spec/protocol.h"
#include "vmbus-model/spec/ring_layout.h"

namespace hvsim::vmbus::test {

using Bytes = std::vector<std::uint8_t>;

/// Memory [0, pages * 4096), pages of which can be taken away.
class FakeMemory final : public GuestMemory {
  public:
    explicit FakeMemory(std::size_t pages) : bytes_(pages * 4096), unmapped_(pages) {}
    bool read(std::uint64_t gpa, std::span<std::uint8_t> out) override {
        if (!mapped(gpa, out.size())) return false;
        if (!out.empty()) std::memcpy(out.data(), bytes_.data() + gpa, out.size());
        return true;
    }
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> in) override {
        if (!mapped(gpa, in.size())) return false;
        if (!in.empty()) std::memcpy(bytes_.data() + gpa, in.data(), in.size());
        return true;
    }
    void unmap(std::uint64_t page, bool unmapped = true) { unmapped_[page] = unmapped; }
    template <typename T>
    T get(std::uint64_t gpa) const {
        T value;
        std::memcpy(&value, bytes_.data() + gpa, sizeof(T));
        return value;
    }
    template <typename T>
    void put(std::uint64_t gpa, T value) {
        std::memcpy(bytes_.data() + gpa, &value, sizeof(T));
    }
    Bytes bytes(std::uint64_t gpa, std::size_t size) const {
        return {bytes_.begin() + static_cast<std::ptrdiff_t>(gpa),
                bytes_.begin() + static_cast<std::ptrdiff_t>(gpa + size)};
    }
    void put_bytes(std::uint64_t gpa, std::span<const std::uint8_t> in) {
        std::memcpy(bytes_.data() + gpa, in.data(), in.size());
    }

  private:
    bool mapped(std::uint64_t gpa, std::size_t size) const {
        if (gpa > bytes_.size() || size > bytes_.size() - gpa) return false;
        for (std::uint64_t page = gpa / 4096; page * 4096 < gpa + size; ++page)
            if (unmapped_[page]) return false;
        return true;
    }
    Bytes bytes_;
    std::vector<bool> unmapped_;
};

struct Posted {
    MessageTarget target;
    Bytes bytes;
    std::uint32_t type() const {
        std::uint32_t value = 0;
        std::memcpy(&value, bytes.data(), 4);
        return value;
    }
};

struct Signalled {
    std::uint32_t vp;
    std::uint16_t flag;
    bool operator==(const Signalled&) const = default;
};

class FakePort final : public GuestPort {
  public:
    PostResult post_message(MessageTarget target, std::span<const std::uint8_t> payload) override {
        if (target.vp >= vps || target.sint > 15) return PostResult::failed;
        if (buffers == 0) return PostResult::no_buffers;
        --buffers;
        messages.push_back({target, Bytes(payload.begin(), payload.end())});
        return PostResult::posted;
    }
    bool signal_event(std::uint32_t vp, std::uint16_t flag) override {
        if (vp >= vps) return false;
        signals.push_back({vp, flag});
        return true;
    }
    std::uint32_t vps = 4;
    std::uint64_t buffers = ~std::uint64_t{0};
    std::deque<Posted> messages;
    std::vector<Signalled> signals;
};

class FakePorts final : public PortRegistry {
  public:
    void create_message_connection(std::uint32_t id) override { messages.insert(id); }
    void delete_message_connection(std::uint32_t id) override { messages.erase(id); }
    void create_event_connection(std::uint32_t id) override { events.insert(id); }
    void delete_event_connection(std::uint32_t id) override { events.erase(id); }
    std::multiset<std::uint32_t> messages;
    std::multiset<std::uint32_t> events;
};

class FakeCosts final : public CostSink {
  public:
    void charge(sim::Duration cost) override {
        total += cost;
        if (time != 0) time += cost;
    }
    sim::Time now() const override { return time; }
    sim::Duration total = 0;
    sim::Time time = 0;  ///< goes on when it is not 0
};

/// Everything that a server needs; `environment` refers to the other members.
struct FakePlatform {
    explicit FakePlatform(std::size_t pages = 1024) : memory(pages) {}
    FakePlatform(const FakePlatform&) = delete;
    FakeMemory memory;
    FakePort port;
    FakePorts ports;
    FakeCosts costs;
    sim::Recorder recorder;
    Environment environment{memory, port, ports, costs, &recorder, {100, 10, 1000, 20, 5}, 2, 0};
};

template <typename Message>
Bytes wire(Message message) {
    message.header.type = static_cast<std::uint32_t>(spec::kTypeOf<Message>);
    Bytes bytes(sizeof(message));
    std::memcpy(bytes.data(), &message, sizeof(message));
    return bytes;
}

template <typename Message>
Message unwire(const Bytes& bytes) {
    Message message;
    std::memcpy(&message, bytes.data(), std::min(bytes.size(), sizeof(message)));
    return message;
}

/// "0e 00 ..." (spaces are free) as bytes.
inline Bytes hex(const std::string& text) {
    Bytes bytes;
    std::string digits;
    for (const char c : text)
        if (c != ' ') digits += c;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    return bytes;
}

}  // namespace hvsim::vmbus::test
