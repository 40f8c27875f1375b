#include "app/machine/disk_controller.h"

#include <fmt/format.h>

#include "sim/error.h"

namespace hvsim::app {
namespace {

devices::nvme::NvmeConfig controller_config(const Scenario& scenario) {
    const sim::TimingProfile& timing = scenario.timing;
    devices::nvme::NvmeConfig config;
    config.read_latency = timing.device_disk_read;
    config.write_latency = timing.device_disk_write;
    config.flush_latency = timing.device_disk_flush;
    if (timing.device_disk_page != 0)
        config.bandwidth = sim::kPageSize * sim::kSecond / timing.device_disk_page;
    return config;
}

}  // namespace

DiskController::DiskController(Board& board)
    : board_(board),
      dma_("nvme_dma", board.time),
      msi_window_(board.msi_decoder),
      msi_target_("msi_window", msi_window_, board.time) {
    const Scenario& scenario = board.scenario;
    namespaces_.resize(scenario.vms.size());
    for (std::size_t vm = 0; vm < scenario.vms.size(); ++vm)
        for (std::size_t i = 0; i < scenario.vms[vm].disks.size(); ++i) {
            const DiskConfig& disk = scenario.vms[vm].disks[i];
            namespaces_[vm].push_back(open(fmt::format("vm[{}].disk[{}].image", vm, i), disk.image,
                                           disk.format, disk.writable));
        }
    for (std::size_t i = 0; i < scenario.events.size(); ++i) {
        const EventConfig& event = scenario.events[i];
        event_namespaces_.push_back(
            event.action == EventAction::add_disk && !event.image.empty()
                ? open(fmt::format("event[{}].image", i), event.image, event.format, event.writable)
                : 0);
    }
    if (images_.empty())  // a controller has at least one namespace
        images_.push_back(std::make_unique<devices::DiskImage>(1 << 20, 512));
    std::vector<devices::DiskImage*> pointers;
    for (const auto& image : images_) pointers.push_back(image.get());
    controller_ = std::make_unique<devices::nvme::NvmeController>(controller_config(scenario),
                                                                  pointers, dma_, &board.recorder);
    target_ = std::make_unique<devices::tlm_shell::RegisterTarget>("nvme", *controller_, board.time,
                                                                   scenario.timing.device_mmio);
    board.memory_bus.map({"nvme", kNvmeAddress, kNvmeSize}, target_->socket);
    board.dispatcher.add(*controller_);
    if (board.iommu_shell)
        board.iommu_shell->add_device(kNvmeRequester, dma_.socket);
    else
        dma_.socket.bind(board.memory_bus.initiators);
    board.memory_bus.map({"msi", MsiWindow::kBase, MsiWindow::kSize}, msi_target_.socket);
}

std::uint32_t DiskController::open(const std::string& key, const std::filesystem::path& path,
                                   DiskFormat format, DiskAccess access) {
    devices::ImageConfig config;
    config.path = path;
    config.format =
        format == DiskFormat::vhd ? devices::ImageFormat::fixed_vhd : devices::ImageFormat::raw;
    config.mode = access == DiskAccess::in_place ? devices::ImageMode::in_place
                                                 : devices::ImageMode::copy_on_write;
    try {
        images_.push_back(std::make_unique<devices::DiskImage>(config));
    } catch (const sim::ConfigError& error) {
        if (error.where().line != 0) throw;
        throw sim::ConfigError(board_.scenario.where(key), error.what(), error.hint());
    }
    return static_cast<std::uint32_t>(images_.size());
}

std::uint32_t DiskController::namespace_of(std::size_t vm, std::size_t disk) const {
    return namespaces_.at(vm).at(disk);
}

void DiskController::collect(sim::StatisticsSink& sink) const {
    controller_->collect(sink);
}

}  // namespace hvsim::app
