#pragma once
// A disk in plain memory that copies straight to and from the guest's pages, at once or when told.
#include <cstdint>
#include <deque>
#include <vector>

#include "tests/vmbus-model/fake_guest.h"
#include "vmbus-model/storvsp/storvsp.h"

namespace hvsim::vmbus::test {

class FakeDisk final : public storvsp::DiskBackend {
  public:
    FakeDisk(FakeMemory& memory, std::uint64_t blocks, std::uint32_t block_size = 512)
        : memory_(memory), content(blocks * block_size) {
        shape.blocks = blocks;
        shape.block_size = block_size;
    }
    storvsp::DiskGeometry geometry() const override { return shape; }
    void submit(sim::Time now, const storvsp::DiskRequest& request, std::uint64_t token,
                storvsp::DiskClient& client) override {
        requests.push_back(request);
        waiting.push_back({request, token, &client});
        if (!hold) complete(now);
    }
    /// Carries out the oldest request that waits.
    void complete(sim::Time now) {
        const Waiting next = waiting.front();
        waiting.pop_front();
        storvsp::DiskOutcome result = outcome;
        if (result == storvsp::DiskOutcome::ok && !carry_out(next.request))
            result = storvsp::DiskOutcome::dma_fault;
        next.client->disk_complete(now, next.token, result);
    }

    storvsp::DiskGeometry shape;
    bool hold = false;
    storvsp::DiskOutcome outcome = storvsp::DiskOutcome::ok;
    std::vector<storvsp::DiskRequest> requests;

  private:
    struct Waiting {
        storvsp::DiskRequest request;
        std::uint64_t token;
        storvsp::DiskClient* client;
    };
    bool carry_out(const storvsp::DiskRequest& request) {
        using storvsp::DiskOperation;
        for (const auto& extent : request.extents) {
            const std::size_t at = extent.lba * shape.block_size;
            const std::size_t size = extent.blocks * shape.block_size;
            if (request.operation == DiskOperation::discard) {
                std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(at), size, 0);
                continue;
            }
            std::size_t done = 0;
            for (const GpaSegment& segment : request.segments) {
                const std::span<std::uint8_t> part =
                    std::span(content).subspan(at + done, segment.length);
                const bool ok = request.operation == DiskOperation::read
                                    ? memory_.write(segment.gpa, part)
                                    : memory_.read(segment.gpa, part);
                if (!ok) return false;
                done += segment.length;
            }
            if (done != size) return false;
        }
        return true;
    }
    FakeMemory& memory_;

  public:
    Bytes content;
    std::deque<Waiting> waiting;
};

/// A guest's storage driver on one channel.
class FakeStorageDriver {
  public:
    using Packet = storvsp::spec::Packet;
    using Srb = storvsp::spec::ScsiRequest;
    using Operation = storvsp::spec::Operation;

    FakeStorageDriver(FakePlatform& platform, FakeGuest& guest, std::uint32_t relid,
                      std::uint64_t ring_page, std::uint32_t handle)
        : platform_(platform),
          guest_(guest),
          relid_(relid),
          ring(platform.memory, ring_page, 16, 8) {
        opened = guest.create_gpadl(relid, handle, ring_page, 16) == 0u &&
                 guest.open(relid, handle, 8, 0) == 0u;
    }
    void send(Operation operation, std::uint64_t id, const Bytes& body = {}) {
        Bytes bytes(64, 0);
        const auto number = static_cast<std::uint32_t>(operation);
        std::memcpy(bytes.data(), &number, 4);
        bytes[4] = 1;
        std::copy(body.begin(), body.end(), bytes.begin() + 12);
        write(GuestRing::packet(spec::PacketType::inband, id, true, {}, bytes));
    }
    void write(const Bytes& packet) {
        if (ring.write_raw(packet) == GuestRing::Wrote::signal) guest_.signal(relid_);
    }
    std::optional<Packet> receive(std::uint64_t id) {
        const auto packet = ring.read();
        if (!packet || packet->transaction_id != id || packet->payload.size() != 64)
            return std::nullopt;
        Packet reply;
        std::memcpy(&reply, packet->payload.data(), 64);
        return reply;
    }
    std::optional<std::uint32_t> status(Operation operation, const Bytes& body = {}) {
        send(operation, ~std::uint64_t{2}, body);
        const auto reply = receive(~std::uint64_t{2});
        if (!reply || reply->header.operation != 1) return std::nullopt;
        return reply->header.status;
    }
    bool initialize(const Bytes& version = {0x02, 0x06, 0, 0}) {
        return status(Operation::begin_initialization) == 0u &&
               status(Operation::query_protocol_version, version) == 0u &&
               status(Operation::query_properties) == 0u &&
               status(Operation::end_initialization) == 0u;
    }
    /// EXECUTE_SRB with a data buffer of `length` bytes from `offset` of page kDataPage on.
    void scsi(std::uint64_t id, const Bytes& cdb, std::uint32_t length = 0,
              std::uint32_t offset = 0) {
        Srb srb = request(cdb, length);
        Packet packet;
        packet.header = {static_cast<std::uint32_t>(Operation::execute_srb), 1, 0};
        std::memcpy(packet.body.data(), &srb, sizeof(srb));
        Bytes bytes(64);
        std::memcpy(bytes.data(), &packet, 64);
        if (length == 0) {
            write(GuestRing::packet(spec::PacketType::inband, id, true, {}, bytes));
            return;
        }
        std::vector<std::uint64_t> pages;
        for (std::uint64_t i = 0; i * 4096 < offset + length; ++i) pages.push_back(kDataPage + i);
        write(GuestRing::packet(spec::PacketType::gpa_direct, id, true,
                                GuestRing::gpa_header(length, offset, pages), bytes));
    }
    Srb request(const Bytes& cdb, std::uint32_t length) const {
        Srb srb;
        srb.length = 52;
        srb.path = address.path;
        srb.target = address.target;
        srb.lun = address.lun;
        srb.cdb_length = static_cast<std::uint8_t>(cdb.size());
        srb.sense_length = 20;
        srb.data_in = length == 0 ? 2 : 1;
        srb.data_transfer_length = length;
        std::copy(cdb.begin(), cdb.end(), srb.cdb.begin());
        return srb;
    }
    std::optional<Srb> answer(std::uint64_t id) {
        const auto reply = receive(id);
        if (!reply || reply->header.operation != 1) return std::nullopt;
        nt_status = reply->header.status;
        Srb srb;
        std::memcpy(&srb, reply->body.data(), sizeof(srb));
        return srb;
    }
    std::optional<Srb> scsi_now(const Bytes& cdb, std::uint32_t length = 0,
                                std::uint32_t offset = 0) {
        scsi(++last_id, cdb, length, offset);
        return answer(last_id);
    }
    Bytes data(std::size_t size, std::size_t offset = 0) const {
        return platform_.memory.bytes(kDataPage * 4096 + offset, size);
    }

    static constexpr std::uint64_t kDataPage = 256;
    storvsp::ScsiAddress address;
    bool opened = false;
    std::uint64_t last_id = 0;
    std::uint32_t nt_status = 0;

  private:
    FakePlatform& platform_;
    FakeGuest& guest_;
    std::uint32_t relid_;

  public:
    GuestRing ring;
};

}  // namespace hvsim::vmbus::test
