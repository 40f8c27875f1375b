#pragma once
// The host's disk controller with the images of all virtual machines' disks as its namespaces, its
// DMA behind the IOMMU (or straight on the memory bus where the host has none).
#include <memory>
#include <vector>

#include "app/machine/board.h"
#include "devices/disk_image.h"
#include "devices/nvme/controller.h"
#include "devices/tlm/dma_initiator.h"

namespace hvsim::app {

/// The address range of interrupt requests where no IOMMU takes them.
class MsiWindow final : public devices::RegisterDevice {
  public:
    explicit MsiWindow(apic::MsiSink& sink) : sink_(sink) {}
    std::uint64_t read_register(std::uint64_t, unsigned size, sim::Time&) override {
        return ~std::uint64_t{0} >> (64 - 8 * size);
    }
    void write_register(std::uint64_t offset, unsigned, std::uint64_t value,
                        sim::Time now) override {
        sink_.write_msi({kBase + offset, static_cast<std::uint32_t>(value)},
                        {apic::InterruptSource::Kind::device, kNvmeRequester}, now);
    }
    unsigned widest_access() const noexcept override { return 4; }
    static constexpr std::uint64_t kBase = 0xfee00000, kSize = 0x100000;

  private:
    apic::MsiSink& sink_;
};

class DiskController {
  public:
    explicit DiskController(Board& board);

    /// Namespace of disk `disk` of machine `vm`.
    std::uint32_t namespace_of(std::size_t vm, std::size_t disk) const;
    /// Namespace of the image that event `event` adds.
    std::uint32_t namespace_of_event(std::size_t event) const {
        return event_namespaces_.at(event);
    }
    devices::nvme::NvmeController& controller() noexcept { return *controller_; }
    void collect(sim::StatisticsSink& sink) const;

  private:
    std::uint32_t open(const std::string& key, const std::filesystem::path& path, DiskFormat format,
                       DiskAccess access);

    Board& board_;
    std::vector<std::unique_ptr<devices::DiskImage>> images_;
    std::vector<std::vector<std::uint32_t>> namespaces_;
    std::vector<std::uint32_t> event_namespaces_;
    devices::tlm_shell::DmaInitiator dma_;
    std::unique_ptr<devices::nvme::NvmeController> controller_;
    std::unique_ptr<devices::tlm_shell::RegisterTarget> target_;
    MsiWindow msi_window_;
    devices::tlm_shell::RegisterTarget msi_target_;
};

}  // namespace hvsim::app
