#include "devices/testing/fw_cfg.h"

namespace hvsim::devices {
namespace {

// Items (fw_cfg.rst, "Firmware Configuration Items"; the numbers of include/standard-headers).
constexpr std::uint16_t kSignature = 0x00, kInterface = 0x01, kRamSize = 0x03, kProcessors = 0x05,
                        kMostProcessors = 0x0f;
constexpr std::uint64_t kSignatureText = 0x554d4551;  // "QEMU"
constexpr std::uint64_t kTraditional = 1;             // no DMA interface

}  // namespace

FwCfg::FwCfg(const FwCfgConfig& config) {
    add(kSignature, kSignatureText, 4);
    add(kInterface, kTraditional, 4);
    add(kRamSize, config.ram_bytes, 8);
    add(kProcessors, config.processors, 2);
    add(kMostProcessors, config.processors, 2);
}

void FwCfg::add(std::uint16_t item, std::uint64_t value, unsigned size) {
    std::vector<std::uint8_t>& bytes = items_[item];
    for (unsigned i = 0; i < size; ++i)
        bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t FwCfg::read_register(std::uint64_t offset, unsigned, sim::Time&) {
    if (offset != 1) return 0;
    const auto found = items_.find(selected_);
    if (found == items_.end() || position_ >= found->second.size()) return 0;
    return found->second[position_++];
}

void FwCfg::write_register(std::uint64_t offset, unsigned size, std::uint64_t value, sim::Time) {
    if (offset != 0 || size != 2) return;
    selected_ = static_cast<std::uint16_t>(value);
    position_ = 0;
}

}  // namespace hvsim::devices
