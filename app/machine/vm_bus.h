#pragma once
// VMBus of one virtual machine, plugged into the root partition's software.
#include <map>
#include <memory>
#include <vector>

#include "app/machine/root_storage.h"
#include "hypervisor-model/stack/worker_process.h"
#include "vmbus-model/server.h"
#include "vmbus-model/storvsp/storvsp.h"

namespace hvsim::app {

/// A disk that the machine has from the start, or gets later.
struct VmDiskDescription {
    std::uint32_t disk = 0;  ///< namespace of the host's controller
    std::uint8_t lun = 0;
    bool write_protected = false;
};

class VmBus final : public hv::stack::PartitionClient,
                    private hv::stack::PortClient,
                    private vmbus::GuestMemory,
                    private vmbus::GuestPort,
                    private vmbus::PortRegistry,
                    private vmbus::CostSink {
  public:
    VmBus(hv::stack::RootPartition& root, hv::stack::WorkerProcess& worker, RootStorage& storage,
          sim::Recorder& recorder, const vmbus::ServerConfig& config,
          std::vector<VmDiskDescription> disks);
    ~VmBus() override;

    /// The partition exists: ports and offers are made by `vp`.
    void start(hv::stack::RootVp& vp);
    /// Takes a disk away, or adds one; done at the next work step.
    void request_remove(std::uint8_t lun) { removals_.push_back(lun); }
    void request_add(const VmDiskDescription& disk) { additions_.push_back(disk); }
    void collect(sim::StatisticsSink& sink) const;

    void on_intercept(hv::stack::RootVp&, const hv::MessageSlot&) override {}
    bool on_work(hv::stack::RootVp& vp) override;

  private:
    // hv::stack::PortClient
    void on_message(hv::stack::RootVp& vp, std::uint32_t connection, std::uint32_t type,
                    std::span<const std::uint8_t> payload) override;
    void on_signal(hv::stack::RootVp& vp, std::uint32_t connection) override;
    // vmbus::GuestMemory
    bool read(std::uint64_t gpa, std::span<std::uint8_t> out) override;
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> in) override;
    // vmbus::GuestPort
    vmbus::PostResult post_message(vmbus::MessageTarget target,
                                   std::span<const std::uint8_t> payload) override;
    bool signal_event(std::uint32_t vp, std::uint16_t flag) override;
    // vmbus::PortRegistry
    void create_message_connection(std::uint32_t connection_id) override;
    void delete_message_connection(std::uint32_t connection_id) override;
    void create_event_connection(std::uint32_t connection_id) override;
    void delete_event_connection(std::uint32_t connection_id) override;
    // vmbus::CostSink
    void charge(sim::Duration cost) override;
    sim::Time now() const override;

    hv::stack::WinHv& winhv() const { return root_.vp(0).winhv(); }
    void add_disk(const VmDiskDescription& disk);
    bool change_disks();

    hv::stack::RootPartition& root_;
    hv::stack::WorkerProcess& worker_;
    RootStorage& storage_;
    sim::Recorder& recorder_;
    vmbus::ServerConfig config_;
    std::vector<VmDiskDescription> disks_;
    std::vector<std::uint8_t> removals_;
    std::vector<VmDiskDescription> additions_;

    std::unique_ptr<vmbus::Environment> environment_;
    std::unique_ptr<vmbus::VmbusServer> server_;
    std::vector<std::unique_ptr<VmDisk>> backends_;
    std::unique_ptr<vmbus::storvsp::StorVsp> storvsp_;
    bool retry_ = false, closing_ = false;
    std::map<std::pair<std::uint32_t, std::uint8_t>, hv::ConnectionId> message_connections_;
    std::map<std::uint32_t, hv::ConnectionId> event_connections_;
};

}  // namespace hvsim::app
