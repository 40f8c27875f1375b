#pragma once
// A small guest driver for VMBus, written against the protocol and not against the model: it lays
// out buffers, rings and messages by itself.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "tests/vmbus-model/fake_platform.h"
#include "vmbus-model/server.h"

namespace hvsim::vmbus::test {

struct GuestOffer {
    spec::OfferChannel message;
    bool rescinded = false;
};

struct GuestPacket {
    std::uint16_t type = 0;
    std::uint16_t flags = 0;
    std::uint64_t transaction_id = 0;
    std::uint16_t header_units = 0;
    Bytes payload;
};

/// A channel as the guest sees it: both rings over `pages` consecutive pages from `base`.
class GuestRing {
  public:
    GuestRing(FakeMemory& memory, std::uint64_t base_page, std::uint32_t pages,
              std::uint32_t downstream)
        : memory_(&memory), out_(base_page * 4096), in_((base_page + downstream) * 4096) {
        out_size_ = (downstream - 1) * 4096;
        in_size_ = (pages - downstream - 1) * 4096;
        for (const std::uint64_t control : {out_, in_}) {
            memory_->put_bytes(control, Bytes(4096, 0));
            put(control, spec::RingField::feature_bits, 1);
        }
    }
    std::uint32_t get(std::uint64_t control, spec::RingField field) const {
        return memory_->get<std::uint32_t>(control + static_cast<std::uint32_t>(field));
    }
    void put(std::uint64_t control, spec::RingField field, std::uint32_t value) {
        memory_->put<std::uint32_t>(control + static_cast<std::uint32_t>(field), value);
    }
    std::uint64_t out() const { return out_; }
    std::uint64_t in() const { return in_; }
    std::uint32_t out_size() const { return out_size_; }
    std::uint32_t in_size() const { return in_size_; }

    /// Starts both rings at `out_offset`, `in_offset` instead of 0.
    void start_at(std::uint32_t out_offset, std::uint32_t in_offset) {
        for (const auto field : {spec::RingField::write_index, spec::RingField::read_index}) {
            put(out_, field, out_offset);
            put(in_, field, in_offset);
        }
        read_ = in_offset;
    }

    std::uint32_t out_free() const {
        const auto write = get(out_, spec::RingField::write_index);
        const auto read = get(out_, spec::RingField::read_index);
        return read > write ? read - write : out_size_ - (write - read);
    }

    enum class Wrote { full, quiet, signal };
    /// Writes descriptor, header extension and payload as they are; the lengths are the caller's.
    Wrote write_raw(const Bytes& packet) {
        const auto write = get(out_, spec::RingField::write_index);
        if (out_free() <= packet.size() + 8) return Wrote::full;
        std::uint32_t at = write;
        const auto copy = [&](const Bytes& bytes) {
            for (const std::uint8_t byte : bytes) {
                memory_->put<std::uint8_t>(out_ + 4096 + at, byte);
                at = (at + 1) % out_size_;
            }
        };
        copy(packet);
        Bytes trailer(8, 0);
        std::memcpy(trailer.data() + 4, &write, 4);
        copy(trailer);
        put(out_, spec::RingField::write_index, at);
        if (get(out_, spec::RingField::interrupt_mask) != 0) return Wrote::quiet;
        return get(out_, spec::RingField::read_index) == write ? Wrote::signal : Wrote::quiet;
    }
    static Bytes packet(spec::PacketType type, std::uint64_t id, bool completion,
                        const Bytes& header, const Bytes& payload) {
        spec::PacketDescriptor descriptor;
        descriptor.type = static_cast<std::uint16_t>(type);
        descriptor.header_units = static_cast<std::uint16_t>((16 + header.size()) / 8);
        descriptor.total_units =
            static_cast<std::uint16_t>((16 + header.size() + (payload.size() + 7) / 8 * 8) / 8);
        descriptor.flags = completion ? 1 : 0;
        descriptor.transaction_id = id;
        Bytes bytes(16);
        std::memcpy(bytes.data(), &descriptor, 16);
        bytes.insert(bytes.end(), header.begin(), header.end());
        bytes.insert(bytes.end(), payload.begin(), payload.end());
        bytes.resize(std::size_t{descriptor.total_units} * 8);
        return bytes;
    }
    /// The header extension of a GPA-direct packet with one range over `pages`.
    static Bytes gpa_header(std::uint32_t length, std::uint32_t offset,
                            const std::vector<std::uint64_t>& pages) {
        Bytes bytes(16 + pages.size() * 8, 0);
        const std::uint32_t fixed[4] = {0, 1, length, offset};
        std::memcpy(bytes.data(), fixed, 16);
        std::memcpy(bytes.data() + 16, pages.data(), pages.size() * 8);
        return bytes;
    }

    /// The next packet from the host; commits the read index at once.
    std::optional<GuestPacket> read() {
        const auto write = get(in_, spec::RingField::write_index);
        if (write == read_) return std::nullopt;
        const auto byte = [&](std::uint32_t offset) {
            return memory_->get<std::uint8_t>(in_ + 4096 + (read_ + offset) % in_size_);
        };
        Bytes head;
        for (std::uint32_t i = 0; i < 16; ++i) head.push_back(byte(i));
        spec::PacketDescriptor descriptor;
        std::memcpy(&descriptor, head.data(), 16);
        GuestPacket packet{descriptor.type,
                           descriptor.flags,
                           descriptor.transaction_id,
                           descriptor.header_units,
                           {}};
        const std::uint32_t total = descriptor.total_units * 8u;
        for (std::uint32_t i = descriptor.header_units * 8u; i < total; ++i)
            packet.payload.push_back(byte(i));
        std::uint64_t trailer = 0;
        for (std::uint32_t i = 0; i < 8; ++i)
            trailer |= static_cast<std::uint64_t>(byte(total + i)) << (8 * i);
        trailers.push_back(trailer);
        const std::uint32_t free_before =
            read_ > write ? read_ - write : in_size_ - (write - read_);
        read_ = (read_ + total + 8) % in_size_;
        put(in_, spec::RingField::read_index, read_);
        const std::uint32_t pending = get(in_, spec::RingField::pending_send_size);
        const std::uint32_t free_now = free_before + total + 8;
        if (pending != 0 && free_before <= pending && pending < free_now) space_wanted = true;
        return packet;
    }
    std::vector<std::uint64_t> trailers;
    bool space_wanted = false;  ///< the host waits: the guest would now call HvCallSignalEvent

  private:
    FakeMemory* memory_;
    std::uint64_t out_;
    std::uint64_t in_;
    std::uint32_t out_size_;
    std::uint32_t in_size_;
    std::uint32_t read_ = 0;
};

class FakeGuest {
  public:
    FakeGuest(FakePlatform& platform, VmbusServer& server) : platform_(platform), server_(server) {}

    template <typename Message>
    MessageResult post(const Message& message, const Bytes& more = {}) {
        Bytes bytes = wire(message);
        bytes.insert(bytes.end(), more.begin(), more.end());
        return server_.on_message(++now, bytes);
    }
    /// Takes the oldest message off the port; the guest keeps book of offers.
    std::optional<Posted> next() {
        if (platform_.port.messages.empty()) return std::nullopt;
        Posted message = platform_.port.messages.front();
        platform_.port.messages.pop_front();
        if (message.type() == 1) {
            const auto offer = unwire<spec::OfferChannel>(message.bytes);
            offers[offer.relid] = {offer, false};
        } else if (message.type() == 2) {
            offers[unwire<spec::RescindChannelOffer>(message.bytes).relid].rescinded = true;
        }
        return message;
    }
    /// The next message, which must be a `Message`; nullopt if there is none or another.
    template <typename Message>
    std::optional<Message> expect() {
        const auto message = next();
        if (!message || message->type() != static_cast<std::uint32_t>(spec::kTypeOf<Message>) ||
            message->bytes.size() != sizeof(Message))
            return std::nullopt;
        return unwire<Message>(message->bytes);
    }
    bool quiet() const { return platform_.port.messages.empty(); }

    static spec::InitiateContact contact(spec::Version version, std::uint32_t vp = 0) {
        spec::InitiateContact message;
        message.version = static_cast<std::uint32_t>(version);
        message.target_vp = vp;
        message.interrupt_info = version >= spec::Version::v5_0 ? 2 : 0x5000;
        message.monitor_page_to_guest = 0x6000;
        message.monitor_page_to_host = 0x7000;
        return message;
    }
    bool connect(spec::Version version, std::uint32_t vp = 0) {
        post(contact(version, vp));
        const auto response = expect<spec::VersionResponse>();
        return response && response->version_supported == 1;
    }
    /// RequestOffers; reads all offers up to AllOffersDelivered.
    bool request_offers() {
        post(spec::RequestOffers{});
        while (const auto message = next())
            if (message->type() == 4) return true;
        return false;
    }
    /// GPADL of one range over `pages` consecutive pages, in as many messages as it takes. Returns
    /// the status of GpadlCreated, or nothing.
    std::optional<std::uint32_t> create_gpadl(std::uint32_t relid, std::uint32_t handle,
                                              std::uint64_t first_page, std::uint32_t pages) {
        Bytes range(8 + std::size_t{pages} * 8, 0);
        const std::uint32_t length = pages * 4096;
        std::memcpy(range.data(), &length, 4);
        for (std::uint64_t i = 0; i < pages; ++i) {
            const std::uint64_t page = first_page + i;
            std::memcpy(range.data() + 8 + i * 8, &page, 8);
        }
        spec::GpadlHeader header;
        header.relid = relid;
        header.gpadl = handle;
        header.range_buffer_length = static_cast<std::uint16_t>(range.size());
        header.range_count = 1;
        std::size_t sent = std::min<std::size_t>(range.size(), 8 + 26 * 8);
        post(header, Bytes(range.begin(), range.begin() + static_cast<std::ptrdiff_t>(sent)));
        while (sent < range.size()) {
            const std::size_t part = std::min<std::size_t>(range.size() - sent, 28 * 8);
            spec::GpadlBody body;
            body.gpadl = handle;
            post(body, Bytes(range.begin() + static_cast<std::ptrdiff_t>(sent),
                             range.begin() + static_cast<std::ptrdiff_t>(sent + part)));
            sent += part;
        }
        const auto created = expect<spec::GpadlCreated>();
        if (!created || created->relid != relid || created->gpadl != handle) return std::nullopt;
        return created->status;
    }
    std::optional<std::uint32_t> open(std::uint32_t relid, std::uint32_t handle,
                                      std::uint32_t downstream, std::uint32_t vp = 0) {
        spec::OpenChannel message;
        message.relid = relid;
        message.open_id = relid + 100;
        message.ring_gpadl = handle;
        message.target_vp = vp;
        message.downstream_page_offset = downstream;
        post(message);
        const auto result = expect<spec::OpenChannelResult>();
        if (!result || result->relid != relid || result->open_id != relid + 100)
            return std::nullopt;
        return result->status;
    }
    void signal(std::uint32_t relid) {
        server_.on_signal(++now, offers.at(relid).message.connection_id);
    }
    void run_to_rest() {
        while (server_.work_pending()) server_.run(++now);
    }

    sim::Time now = 0;
    std::map<std::uint32_t, GuestOffer> offers;  ///< by relid

  private:
    FakePlatform& platform_;
    VmbusServer& server_;
};

/// A provider that answers every packet that asks for it with a completion of the same payload.
class EchoProvider final : public ServiceProvider {
  public:
    std::uint32_t channel_opened(Channel& channel) override {
        opened.push_back(&channel);
        return open_status;
    }
    bool can_receive(Channel&) override { return !busy; }
    PacketResult packet_received(Channel& channel, const Packet& packet) override {
        if (invalid) return PacketResult::invalid;
        packets.push_back({packet.type, 0, packet.transaction_id, 0,
                           Bytes(packet.payload.begin(), packet.payload.end())});
        segments.clear();
        packet.ranges.segments(~std::uint64_t{0}, segments);
        if (packet.completion_requested) {
            backlog.push_back(
                {packet.transaction_id, Bytes(packet.payload.begin(), packet.payload.end())});
            flush(channel);
        }
        return PacketResult::accepted;
    }
    void ready_to_send(Channel& channel) override {
        ++ready;
        flush(channel);
    }
    void channel_closed(Channel& channel, CloseReason reason) override {
        closed.push_back(reason);
        if (hold)
            held.push_back(&channel);
        else
            channel.release();
    }
    void channel_failed(Channel&) override { ++failed; }
    void flush(Channel& channel) {
        while (!backlog.empty()) {
            OutgoingPacket out;
            out.type = spec::PacketType::completion;
            out.transaction_id = backlog.front().first;
            out.payload = backlog.front().second;
            if (channel.send(out) != SendResult::sent) return;
            backlog.pop_front();
        }
    }

    std::uint32_t open_status = 0;
    bool busy = false;
    bool invalid = false;
    bool hold = false;  ///< releases closed channels only by hand
    std::vector<Channel*> opened;
    std::vector<Channel*> held;
    std::vector<CloseReason> closed;
    std::vector<GuestPacket> packets;
    std::vector<GpaSegment> segments;
    std::deque<std::pair<std::uint64_t, Bytes>> backlog;
    int failed = 0;
    int ready = 0;
};

inline Offer scsi_offer(std::uint8_t instance = 1) {
    Offer offer;
    offer.type = spec::kScsiType;
    offer.instance.bytes[0] = instance;
    return offer;
}

}  // namespace hvsim::vmbus::test
