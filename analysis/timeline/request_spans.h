#pragma once
// Requests on VMBus channels and commands of disk controllers.
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "analysis/timeline/processor_spans.h"

namespace hvsim::analysis {

class Timeline::Requests {
  public:
    Requests(TimelineListener& listener, Processors& processors)
        : listener_(listener), processors_(processors) {}

    void on_event(const sim::Event& event);
    void finish();

  private:
    /// A guest may send packets that nobody answers: more open ones than this on a channel, and the
    /// oldest is given as it is.
    static constexpr std::size_t kMostOpen = 4096;
    /// Commands that never complete, as of a controller that is reset.
    static constexpr std::size_t kMostCommands = 65536;

    /// A signal from a guest to its root partition that no channel has noticed yet, or the other
    /// way round.
    struct Signal {
        std::uint64_t number = 0;
        sim::Time exit = sim::kNever;
        std::uint16_t vp = sim::kNoUnit;  // that was told
    };
    struct Channel {
        std::deque<ChannelRequest> open;      // taken, oldest first
        std::vector<ChannelRequest> waiting;  // answered; the guest's interrupt is to come
        Signal signal;                        // the guest's last one, not yet used by a packet
        sim::Time noticed = sim::kNever;
        std::uint16_t interrupted_vp = sim::kNoUnit;  // of the guest, by the last signal
    };
    /// A command under way; the request that it is for is on this channel, if it is still open.
    struct Command {
        DiskCommand span;
        std::uint16_t partition = sim::kNoUnit;
        std::uint64_t relid = 0;
    };
    struct Guest {
        std::map<std::uint64_t, Channel> channels;  // by relid
        Signal to_host;                             // the last one
        Signal to_guest;
    };

    void on_hypercall(const sim::Event& event);
    void on_signal(const sim::Event& event);
    void on_packet(const sim::Event& event);
    void take_packet(const sim::Event& event);
    void answer_packet(const sim::Event& event);
    void on_scsi_request(const sim::Event& event);
    void on_scsi_complete(const sim::Event& event);
    void on_accepted(const sim::Event& event);
    void on_disk_issue(const sim::Event& event);
    void on_disk_request(const sim::Event& event);
    void on_disk_transfer(const sim::Event& event);
    void on_disk_complete(const sim::Event& event);
    ChannelRequest* request_of(const Command& command);
    template <typename Wanted>
    ChannelRequest* find(std::uint16_t partition, std::uint64_t transaction, Wanted wanted);
    void give_answered(Channel& channel, bool all);
    void interrupt_arrived(const sim::Event& event);

    TimelineListener& listener_;
    Processors& processors_;
    std::map<std::uint16_t, Guest> guests_;      // by partition
    std::map<std::uint64_t, Command> issued_;    // not yet taken, by identifier
    std::map<std::uint64_t, Command> commands_;  // taken, by identifier
    std::vector<Command> completed_;             // their message is to come
    sim::Subject event_receiver_;                // of the last synic_event
    std::uint64_t requests_ = 0, disk_commands_ = 0, signals_ = 0;
};

}  // namespace hvsim::analysis
