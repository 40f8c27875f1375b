// NVM command set (NVM Express 1.4, chapter 6).
#include <algorithm>
#include <limits>

#include "devices/byte_order.h"
#include "devices/nvme/controller.h"

namespace hvsim::devices::nvme {

namespace status = spec::status;
using spec::Command;
using spec::NvmOpcode;

namespace {

bool in_range(const DiskImage& image, std::uint64_t lba, std::uint64_t blocks) {
    return blocks <= image.blocks() && lba <= image.blocks() - blocks;
}

}  // namespace

DiskImage* NvmeController::image_of(std::uint32_t nsid) const noexcept {
    return nsid == 0 || nsid > namespaces_.size() ? nullptr : namespaces_[nsid - 1];
}

bool NvmeController::has_range(const Command& command) noexcept {
    switch (static_cast<NvmOpcode>(command.opcode())) {
        case NvmOpcode::read:
        case NvmOpcode::write:
        case NvmOpcode::compare:
        case NvmOpcode::write_zeroes:
            return true;
        default:
            return false;
    }
}

std::uint64_t NvmeController::most_bytes() const noexcept {
    return sim::kPageSize << config_.transfer_pages_log2;
}

/// What passes the data path: 0 for commands without data and for those that will be refused for
/// their namespace or length.
std::uint64_t NvmeController::transfer_bytes(const Command& command) const noexcept {
    const DiskImage* const image = image_of(command.nsid());
    if (image == nullptr) return 0;
    switch (static_cast<NvmOpcode>(command.opcode())) {
        case NvmOpcode::read:
        case NvmOpcode::write:
        case NvmOpcode::compare:
            break;
        default:
            return 0;
    }
    const std::uint64_t bytes = command.blocks() * image->block_size();
    return bytes > most_bytes() ? 0 : bytes;
}

NvmeController::Outcome NvmeController::execute_io(const Command& command, DmaContext& dma) {
    const auto opcode = static_cast<NvmOpcode>(command.opcode());
    switch (opcode) {
        case NvmOpcode::flush:
            if (command.nsid() == spec::kAllNamespaces) {
                for (DiskImage* image : namespaces_) image->flush();
                return {};
            }
            if (image_of(command.nsid()) == nullptr) return {status::kInvalidNamespace};
            image_of(command.nsid())->flush();
            return {};
        case NvmOpcode::read:
        case NvmOpcode::write:
        case NvmOpcode::compare:
            return transfer(command, dma);
        case NvmOpcode::write_zeroes:
            return write_zeroes(command);
        case NvmOpcode::dataset_management:
            return dataset_management(command, dma);
    }
    return {status::kInvalidOpcode};
}

// 6.6, 6.9, 6.15. A read whose data reached the host only in part fails as a whole; a write takes
// its whole data from the host before it changes anything.
NvmeController::Outcome NvmeController::transfer(const Command& command, DmaContext& dma) {
    DiskImage* const image = image_of(command.nsid());
    if (image == nullptr) return {status::kInvalidNamespace};
    if (!in_range(*image, command.lba(), command.blocks())) return {status::kLbaOutOfRange};
    const std::uint64_t bytes = command.blocks() * image->block_size();
    if (bytes > most_bytes()) return {status::kInvalidField};
    std::vector<DataSegment> segments;
    const spec::Status resolved =
        resolve_prps(command.prp1(), command.prp2(), bytes, dma, segments);
    if (!resolved.ok()) return {resolved};

    const std::uint64_t offset = command.lba() * image->block_size();
    std::vector<std::uint8_t> data(bytes);
    const auto opcode = static_cast<NvmOpcode>(command.opcode());
    if (opcode == NvmOpcode::read) {
        image->read(offset, data);
        const spec::Status sent = write_to_host(segments, data, dma);
        if (sent.ok()) counts_.bytes_read += bytes;
        return {sent};
    }
    const spec::Status received = read_from_host(segments, data, dma);
    if (!received.ok()) return {received};
    if (opcode == NvmOpcode::compare) {
        std::vector<std::uint8_t> stored(bytes);
        image->read(offset, stored);
        return {stored == data ? status::kSuccess : status::kCompareFailure};
    }
    image->write(offset, data);
    counts_.bytes_written += bytes;
    return {};
}

// 6.16. Deallocated blocks read as zeros (DLFEAT), so the Deallocate bit changes nothing.
NvmeController::Outcome NvmeController::write_zeroes(const Command& command) {
    DiskImage* const image = image_of(command.nsid());
    if (image == nullptr) return {status::kInvalidNamespace};
    if (!in_range(*image, command.lba(), command.blocks())) return {status::kLbaOutOfRange};
    const std::uint64_t bytes = command.blocks() * image->block_size();
    image->zero(command.lba() * image->block_size(), bytes);
    counts_.bytes_deallocated += bytes;
    return {};
}

// 6.7. The ranges are copied once; all are checked before any is deallocated.
NvmeController::Outcome NvmeController::dataset_management(const Command& command,
                                                           DmaContext& dma) {
    constexpr std::size_t kRangeSize = 16;
    DiskImage* const image = image_of(command.nsid());
    if (image == nullptr) return {status::kInvalidNamespace};
    const std::uint64_t ranges = sim::Bits<7, 0>::get(command.dword[10]) + 1;
    const bool deallocate = sim::Bits<2>::test(command.dword[11]);
    std::vector<DataSegment> segments;
    std::vector<std::uint8_t> list(ranges * kRangeSize);
    spec::Status status = resolve_prps(command.prp1(), command.prp2(), list.size(), dma, segments);
    if (status.ok()) status = read_from_host(segments, list, dma);
    if (!status.ok()) return {status};
    const auto length_of = [&list](std::size_t i) {
        return std::uint64_t{load_le<std::uint32_t>(list, i * kRangeSize + 4)};
    };
    const auto lba_of = [&list](std::size_t i) {
        return load_le<std::uint64_t>(list, i * kRangeSize + 8);
    };
    for (std::size_t i = 0; i < ranges; ++i)
        if (!in_range(*image, lba_of(i), length_of(i))) return {status::kLbaOutOfRange};
    if (!deallocate) return {};  // the other attributes are hints
    for (std::size_t i = 0; i < ranges; ++i) {
        const std::uint64_t bytes = length_of(i) * image->block_size();
        image->zero(lba_of(i) * image->block_size(), bytes);
        counts_.bytes_deallocated += bytes;
    }
    return {};
}

}  // namespace hvsim::devices::nvme
