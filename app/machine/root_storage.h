#pragma once
// The root partition's disk driver as the providers of all virtual machines use it.
#include <map>
#include <memory>

#include "hypervisor-model/stack/disk/native_core_access.h"
#include "hypervisor-model/stack/disk/nvme_driver.h"
#include "hypervisor-model/stack/root_partition.h"
#include "vmbus-model/storvsp/disk_backend.h"

namespace hvsim::app {

/// How often the root looks after the controller while it has something to do.
inline constexpr sim::Duration kDiskWatchInterval = sim::kSecond;

/// Vector of the disk controller's interrupt on root virtual processor 0.
inline constexpr std::uint8_t kRootDiskVector = hv::stack::kFirstRootDeviceVector;

class RootStorage final : public hv::stack::PartitionClient,
                          private hv::stack::DiskCompletionHandler {
  public:
    RootStorage(hv::stack::RootPartition& root, std::uint64_t registers,
                const hv::stack::InterruptMessage& interrupt);

    /// Where the controller's interrupt goes; before the driver starts.
    void set_interrupt(const hv::stack::InterruptMessage& interrupt) {
        driver_.set_interrupt(interrupt);
    }
    bool ready() const noexcept { return driver_.ready(); }
    hv::stack::DiskProperties properties(std::uint32_t disk) const {
        return driver_.properties(disk);
    }
    void submit(hv::stack::DiskRequest request, std::uint64_t token,
                vmbus::storvsp::DiskClient& client);
    void collect(sim::StatisticsSink& sink) const { driver_.collect(sink); }

    // hv::stack::PartitionClient: the driver's start, step by step
    void on_intercept(hv::stack::RootVp&, const hv::MessageSlot&) override {}
    bool on_work(hv::stack::RootVp& vp) override;

  private:
    struct Pending {
        std::uint64_t token = 0;
        vmbus::storvsp::DiskClient* client = nullptr;
    };
    void watch();
    void start_watch();
    void disk_completed(sim::Time now, std::uint64_t token, hv::stack::DiskStatus status) override;
    void disk_issued(sim::Time now, std::uint64_t token, std::uint32_t command) override;

    hv::stack::RootPartition& root_;
    hv::stack::NativeCoreAccess access_;
    hv::stack::NvmeDriver driver_;
    bool started_ = false;
    bool watching_ = false;  ///< the root's timer is set
    std::map<std::uint64_t, Pending> pending_;
    std::uint64_t next_token_ = 1;
};

/// One disk of one virtual machine.
class VmDisk final : public vmbus::storvsp::DiskBackend {
  public:
    VmDisk(RootStorage& storage, std::uint32_t disk, bool write_protected,
           std::function<std::optional<std::uint64_t>(std::uint64_t, std::uint64_t)> translate)
        : storage_(storage),
          disk_(disk),
          write_protected_(write_protected),
          translate_(std::move(translate)) {}
    vmbus::storvsp::DiskGeometry geometry() const override;
    void submit(sim::Time now, const vmbus::storvsp::DiskRequest& request, std::uint64_t token,
                vmbus::storvsp::DiskClient& client) override;

  private:
    RootStorage& storage_;
    std::uint32_t disk_;
    bool write_protected_;
    /// The child's page as a root address; nullopt: not memory.
    std::function<std::optional<std::uint64_t>(std::uint64_t, std::uint64_t)> translate_;
};

}  // namespace hvsim::app
