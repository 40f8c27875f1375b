#pragma once
// The storage service provider: one synthetic SCSI controller with its disks.
#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/statistics.h"
#include "vmbus-model/latency_histogram.h"
#include "vmbus-model/server.h"
#include "vmbus-model/storvsp/disk_backend.h"
#include "vmbus-model/storvsp/scsi/disk.h"
#include "vmbus-model/storvsp/spec/vstor.h"

namespace hvsim::vmbus::storvsp {

struct StorVspConfig {
    std::string name = "scsi0";  ///< in statistics
    vmbus::spec::Guid instance;
    std::vector<std::uint16_t> versions{spec::kVersion6_2, spec::kVersion6_0, spec::kVersion5_1};
    std::uint32_t max_transfer_bytes = 0x4'0000;  ///< a multiple of 4096
    std::uint16_t max_subchannels = 0;            ///< 0: multi-channel is not announced
    std::uint32_t max_outstanding = 512;          ///< requests of one channel; beyond, they wait
};

/// Where a logical unit hangs; Linux looks at path 0..7, target 0..1.
struct ScsiAddress {
    std::uint8_t path = 0;
    std::uint8_t target = 0;
    std::uint8_t lun = 0;
    auto operator<=>(const ScsiAddress&) const = default;
};

struct StorVspStatistics {
    std::uint64_t requests = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t flushes = 0;
    std::uint64_t discards = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t check_conditions = 0;
    std::uint64_t invalid_luns = 0;
    std::uint64_t backend_errors = 0;
    std::uint64_t resets = 0;
    std::uint64_t refused_packets = 0;  ///< of the wrong state, size, operation or type
    std::uint64_t most_outstanding = 0;
};

class StorVsp final : public ServiceProvider, public DiskClient, public sim::StatisticsSource {
  public:
    /// Offers the controller. Throws ConfigError for a wrong `config`.
    StorVsp(sim::Time now, Environment& environment, VmbusServer& server, StorVspConfig config);

    /// Takes the controller away from the guest; it may be destroyed once removed().
    void remove(sim::Time now);
    bool removed() const { return !server_.exists(offer_); }
    /// Adds a disk; a running guest is told to look. Throws ConfigError when the address is taken
    /// or impossible, or the disk has no blocks.
    void add_lun(sim::Time now, ScsiAddress address, DiskBackend& backend, DiskIdentity identity);
    /// Takes a disk away. What is under way at it ends as for a LUN that does not exist, when the
    /// backend is done with it. `backend` may go once !uses(backend).
    void remove_lun(sim::Time now, ScsiAddress address);
    bool uses(const DiskBackend& backend) const;

    OfferId offer_id() const { return offer_; }
    std::size_t outstanding() const { return requests_.size(); }
    const StorVspStatistics& statistics() const { return statistics_; }
    void collect(sim::StatisticsSink& sink) const override;

    void disk_complete(sim::Time now, std::uint64_t token, DiskOutcome outcome) override;
    void disk_issued(sim::Time now, std::uint64_t token, std::uint32_t command) override;

  private:
    enum class State : std::uint8_t { begin, version, properties, end, ready };
    enum class LatencyClass : std::uint8_t { read, write, other, kCount };

    struct Lun {
        ScsiAddress address;
        DiskBackend* backend = nullptr;
        DiskIdentity identity;
        std::uint32_t outstanding = 0;
        bool removed = false;
    };
    struct Reply {
        vmbus::spec::PacketType type{};
        std::uint64_t transaction = 0;
        spec::Packet packet;
    };
    struct OpenChannel {
        Channel* channel = nullptr;
        bool closed = false;  // only waits for its requests
        std::uint32_t outstanding = 0;
        std::deque<Reply> replies;  // the ring was full
    };
    /// An SRB from its packet to its reply.
    struct Request {
        OfferId channel = 0;
        std::uint64_t transaction = 0;
        bool wants_reply = false;
        sim::Time started = 0;
        LatencyClass latency = LatencyClass::other;
        std::uint32_t lun = 0;  // key in luns_
        DiskOperation operation{};
        std::uint64_t bytes = 0;  // that the backend moves
        spec::ScsiRequest srb;
    };
    struct Ending {
        std::uint8_t srb_status = spec::kSrbSuccess;
        std::uint8_t scsi_status = spec::kStatusGood;
        std::optional<spec::Sense> sense;
        std::uint64_t bytes = 0;
    };

    std::uint32_t channel_opened(Channel& channel) override;
    bool can_receive(Channel& channel) override;
    PacketResult packet_received(Channel& channel, const vmbus::Packet& packet) override;
    void ready_to_send(Channel& channel) override;
    void channel_closed(Channel& channel, CloseReason reason) override;
    void channel_failed(Channel& channel) override;

    void control(OpenChannel& open, const vmbus::Packet& packet, const spec::Packet& request);
    std::uint32_t set_up(const OpenChannel& open, const spec::Packet& request, spec::Packet& reply);
    bool create_subchannels(OpenChannel& open, const spec::Packet& request);
    void reset(OpenChannel& open, const vmbus::Packet& packet);
    void finish_reset();
    void notify_guest(spec::Operation operation);
    void reply(OpenChannel& open, const Reply& reply);
    void flush(OpenChannel& open);
    void resume_all();

    void execute_srb(OpenChannel& open, const vmbus::Packet& packet, const spec::Packet& request);
    ScsiResult perform(const spec::ScsiRequest& srb, std::uint32_t lun,
                       const ScsiCommand& command) const;
    void finish_now(OpenChannel& open, const vmbus::Packet& packet, const Request& request,
                    const ScsiCommand& command, const ScsiResult& result);
    void submit(OpenChannel& open, const vmbus::Packet& packet, Request request,
                DiskRequest disk_request);
    Ending ending_of(const Request& request, DiskOutcome outcome);
    void finish(OpenChannel& open, const Request& request, const Ending& ending);
    std::uint32_t find_lun(ScsiAddress address) const;

    bool write_data(const vmbus::Packet& packet, std::span<const std::uint8_t> data);
    bool read_data(const vmbus::Packet& packet, std::span<std::uint8_t> data);

    Environment& environment_;
    VmbusServer& server_;
    const StorVspConfig config_;
    OfferId offer_ = 0;
    State state_ = State::begin;
    bool subchannels_created_ = false;
    std::map<OfferId, OpenChannel> channels_;
    std::map<std::uint32_t, Lun> luns_;  // 0 is never a key
    std::uint32_t next_lun_ = 1;
    std::map<std::uint64_t, Request> requests_;  // at the backends, by token
    std::uint64_t next_token_ = 1;
    struct Reset {
        OfferId channel;
        std::uint64_t transaction;
        bool wants_reply;
    };
    std::optional<Reset> reset_;

    StorVspStatistics statistics_;
    std::array<LatencyHistogram, static_cast<std::size_t>(LatencyClass::kCount)> latency_;
};

}  // namespace hvsim::vmbus::storvsp
