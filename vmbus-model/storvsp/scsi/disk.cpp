#include "vmbus-model/storvsp/scsi/disk.h"

#include <algorithm>
#include <limits>

#include "vmbus-model/storvsp/scsi/big_endian.h"
#include "vmbus-model/storvsp/scsi/pages.h"

namespace hvsim::vmbus::storvsp {
namespace {

using spec::Opcode;

/// What execute() hands to the functions of the command table.
struct Context {
    const DiskIdentity& identity;
    const DiskGeometry& geometry;
    std::uint32_t max_transfer_bytes;
    const ScsiCommand& command;
    const std::array<std::uint8_t, 16>& cdb;
};

ScsiResult good(std::vector<std::uint8_t> data = {}) {
    ScsiResult result;
    result.data = std::move(data);
    return result;
}

ScsiResult check(spec::Sense sense) {
    ScsiResult result;
    result.kind = ScsiResult::Kind::check;
    result.sense = sense;
    return result;
}

ScsiResult cut(std::vector<std::uint8_t> data, std::uint64_t allocation) {
    if (data.size() > allocation) data.resize(static_cast<std::size_t>(allocation));
    return good(std::move(data));
}

/// Where a CDB of this length has its LBA and its number of blocks (SBC-3 5).
DiskExtent extent_of(const ScsiCommand& command) {
    const std::span<const std::uint8_t> cdb(command.cdb);
    switch (cdb[0] >> 5) {
        case 0: {
            const std::uint64_t blocks = cdb[4];
            return {load_be<3>(cdb, 1) & 0x1f'ffff, blocks == 0 ? 256 : blocks};
        }
        case 1:
            return {load_be<4>(cdb, 2), load_be<2>(cdb, 7)};
        case 4:
            return {load_be<8>(cdb, 2), load_be<4>(cdb, 10)};
        case 5:
            return {load_be<4>(cdb, 2), load_be<4>(cdb, 6)};
        default:
            return {};
    }
}

bool inside(const DiskGeometry& geometry, const DiskExtent& extent) {
    return extent.lba <= geometry.blocks && extent.blocks <= geometry.blocks - extent.lba;
}

ScsiResult test_unit_ready(const Context&) {
    return good();
}

ScsiResult start_stop_unit(const Context& c) {
    // SBC-3 5.25: a fixed medium cannot be loaded or ejected.
    return (c.cdb[4] & 0x02) != 0 ? check(spec::kInvalidFieldInCdb) : good();
}

ScsiResult request_sense(const Context& c) {
    if ((c.cdb[1] & 0x01) != 0) return check(spec::kInvalidFieldInCdb);  // DESC
    const auto sense = fixed_sense(spec::kNoSense);
    return cut({sense.begin(), sense.end()}, c.cdb[4]);
}

ScsiResult inquiry(const Context& c) {
    const std::size_t allocation = allocation_length(c.command);
    if ((c.cdb[1] & 0x01) == 0) {
        if (c.cdb[2] != 0) return check(spec::kInvalidFieldInCdb);
        return cut(standard_inquiry(c.identity, 0), allocation);
    }
    auto page = vpd_page(c.identity, c.geometry, c.max_transfer_bytes, c.cdb[2]);
    if (!page) return check(spec::kInvalidFieldInCdb);
    return cut(std::move(*page), allocation);
}

ScsiResult mode_sense(const Context& c) {
    const bool ten = c.cdb[0] == static_cast<std::uint8_t>(Opcode::mode_sense_10);
    const std::uint8_t control = c.cdb[2] >> 6;
    const std::uint8_t subpage = c.cdb[3];
    if (control == 3) return check(spec::kSavingNotSupported);
    const std::uint8_t page = c.cdb[2] & 0x3f;
    if (subpage != 0 && !(subpage == 0xff && page == spec::kModeAll))
        return check(spec::kInvalidFieldInCdb);
    const auto pages = mode_pages(c.geometry, page, control == 1);
    if (!pages) return check(spec::kInvalidFieldInCdb);
    // SPC-4 7.5.5: header without block descriptors. WP and DPOFUA are in the device-specific byte.
    const std::uint8_t specific =
        static_cast<std::uint8_t>((c.geometry.write_protected ? 0x80 : 0) | 0x10);
    std::vector<std::uint8_t> data(ten ? 8 : 4);
    data[ten ? 3 : 2] = specific;
    data.insert(data.end(), pages->begin(), pages->end());
    if (ten)
        store_be<2>(data, 0, data.size() - 2);
    else
        data[0] = static_cast<std::uint8_t>(data.size() - 1);
    return cut(std::move(data), allocation_length(c.command));
}

ScsiResult read_capacity_10(const Context& c) {
    if (load_be<4>(c.cdb, 2) != 0 || (c.cdb[8] & 0x01) != 0)
        return check(spec::kInvalidFieldInCdb);  // SBC-3 5.15: PMI is obsolete
    std::vector<std::uint8_t> data(8);
    const std::uint64_t last = c.geometry.blocks - 1;
    store_be<4>(data, 0, std::min<std::uint64_t>(last, std::numeric_limits<std::uint32_t>::max()));
    store_be<4>(data, 4, c.geometry.block_size);
    return good(std::move(data));
}

ScsiResult service_action_in(const Context& c) {
    if ((c.cdb[1] & 0x1f) != spec::kReadCapacity16) return check(spec::kInvalidFieldInCdb);
    std::vector<std::uint8_t> data(32);  // SBC-3 5.16.2
    store_be<8>(data, 0, c.geometry.blocks - 1);
    store_be<4>(data, 8, c.geometry.block_size);
    std::uint8_t exponent = 0;
    while (c.geometry.block_size << exponent < 4096) ++exponent;
    data[13] = exponent;                       // physical blocks of 4 KiB
    data[14] = c.geometry.discard ? 0x80 : 0;  // LBPME
    return cut(std::move(data), load_be<4>(c.cdb, 10));
}

ScsiResult transfer(const Context& c, DiskOperation operation) {
    const bool six = c.cdb[0] >> 5 == 0;
    if (!six && c.cdb[1] >> 5 != 0) return check(spec::kInvalidFieldInCdb);  // protection
    const DiskExtent extent = extent_of(c.command);
    if (!inside(c.geometry, extent)) return check(spec::kLbaOutOfRange);
    if (operation == DiskOperation::write && c.geometry.write_protected)
        return check(spec::kWriteProtected);
    if (extent.blocks == 0) return good();
    const std::uint64_t bytes = extent.blocks * c.geometry.block_size;
    if (bytes > c.max_transfer_bytes || bytes > c.command.buffer_length)
        return check(spec::kInvalidFieldInCdb);
    ScsiResult result;
    result.kind = ScsiResult::Kind::disk;
    result.request.operation = operation;
    result.request.force_unit_access = !six && (c.cdb[1] & 0x08) != 0;
    result.request.extents = {extent};
    return result;
}

ScsiResult read(const Context& c) {
    return transfer(c, DiskOperation::read);
}
ScsiResult write(const Context& c) {
    return transfer(c, DiskOperation::write);
}

ScsiResult verify(const Context& c) {
    // SBC-3 5.29: without BYTCHK nothing is compared; the medium is taken to be readable.
    if (c.cdb[1] >> 5 != 0 || (c.cdb[1] & 0x06) != 0) return check(spec::kInvalidFieldInCdb);
    return inside(c.geometry, extent_of(c.command)) ? good() : check(spec::kLbaOutOfRange);
}

ScsiResult synchronize_cache(const Context& c) {
    if (!inside(c.geometry, extent_of(c.command))) return check(spec::kLbaOutOfRange);
    if (!c.geometry.write_cache) return good();
    ScsiResult result;
    result.kind = ScsiResult::Kind::disk;
    result.request.operation = DiskOperation::flush;
    return result;
}

// SBC-3 5.28: header {data length, descriptor length}, then {LBA, blocks} of 16 bytes each.
ScsiResult unmap(const Context& c) {
    constexpr std::size_t kHeader = 8;
    constexpr std::size_t kDescriptor = 16;
    constexpr std::size_t kMaxDescriptors = 256;
    if (!c.geometry.discard) return check(spec::kInvalidOpcode);
    if ((c.cdb[1] & 0x01) != 0) return check(spec::kInvalidFieldInCdb);  // ANCHOR
    if (c.geometry.write_protected) return check(spec::kWriteProtected);
    const std::size_t length = parameter_length(c.command);
    if (length == 0) return good();
    const auto list = c.command.parameter_list;
    if (length < kHeader || list.size() < length) return check(spec::kParameterListLength);
    const std::size_t descriptors = load_be<2>(list, 2);
    if (descriptors > length - kHeader || load_be<2>(list, 0) > length - 2)
        return check(spec::kParameterListLength);
    const std::size_t count = descriptors / kDescriptor;  // a part of a descriptor is ignored
    if (count > kMaxDescriptors) return check(spec::kInvalidFieldInParameters);
    ScsiResult result;
    result.kind = ScsiResult::Kind::disk;
    result.request.operation = DiskOperation::discard;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = kHeader + i * kDescriptor;
        const DiskExtent extent{load_be<8>(list, at), load_be<4>(list, at + 8)};
        if (!inside(c.geometry, extent)) return check(spec::kLbaOutOfRange);
        if (extent.blocks != 0) result.request.extents.push_back(extent);
    }
    return result.request.extents.empty() ? good() : result;
}

struct Command {
    Opcode opcode;
    std::uint8_t cdb_length;
    ScsiResult (*execute)(const Context&);
};

// All commands of a disk but REPORT LUNS, which the target answers. What is not here is refused
// with INVALID COMMAND OPERATION CODE: reservations among them.
constexpr std::array kCommands{
    Command{Opcode::test_unit_ready, 6, test_unit_ready},
    Command{Opcode::request_sense, 6, request_sense},
    Command{Opcode::read_6, 6, read},
    Command{Opcode::write_6, 6, write},
    Command{Opcode::inquiry, 6, inquiry},
    Command{Opcode::mode_sense_6, 6, mode_sense},
    Command{Opcode::start_stop_unit, 6, start_stop_unit},
    Command{Opcode::read_capacity_10, 10, read_capacity_10},
    Command{Opcode::read_10, 10, read},
    Command{Opcode::write_10, 10, write},
    Command{Opcode::verify_10, 10, verify},
    Command{Opcode::synchronize_cache_10, 10, synchronize_cache},
    Command{Opcode::unmap, 10, unmap},
    Command{Opcode::mode_sense_10, 10, mode_sense},
    Command{Opcode::read_16, 16, read},
    Command{Opcode::write_16, 16, write},
    Command{Opcode::verify_16, 16, verify},
    Command{Opcode::synchronize_cache_16, 16, synchronize_cache},
    Command{Opcode::service_action_in_16, 16, service_action_in},
    Command{Opcode::read_12, 12, read},
    Command{Opcode::write_12, 12, write},
    Command{Opcode::verify_12, 12, verify},
};

}  // namespace

std::size_t parameter_length(const ScsiCommand& command) {
    if (command.cdb[0] != static_cast<std::uint8_t>(Opcode::unmap)) return 0;
    return static_cast<std::size_t>(load_be<2>(command.cdb, 7));
}

std::uint64_t command_lba(const ScsiCommand& command) {
    for (const Command& row : kCommands)
        if (command.cdb[0] == static_cast<std::uint8_t>(row.opcode) &&
            (row.execute == read || row.execute == write || row.execute == verify ||
             row.execute == synchronize_cache))
            return extent_of(command).lba;
    return 0;
}

ScsiResult execute(const DiskIdentity& identity, const DiskGeometry& geometry,
                   std::uint32_t max_transfer_bytes, const ScsiCommand& command) {
    for (const Command& row : kCommands) {
        if (command.cdb[0] != static_cast<std::uint8_t>(row.opcode)) continue;
        if (command.cdb_length < row.cdb_length) return check(spec::kInvalidFieldInCdb);
        return row.execute({identity, geometry, max_transfer_bytes, command, command.cdb});
    }
    return check(spec::kInvalidOpcode);
}

ScsiResult absent_inquiry(const ScsiCommand& command) {
    if ((command.cdb[1] & 0x01) != 0 || command.cdb[2] != 0 || command.cdb_length < 6)
        return check(spec::kInvalidFieldInCdb);
    return cut(standard_inquiry({}, spec::kNoLogicalUnit), allocation_length(command));
}

ScsiResult report_luns(const ScsiCommand& command, std::span<const std::uint8_t> luns) {
    const std::uint64_t allocation = load_be<4>(command.cdb, 6);
    // SPC-4 6.33: select report 0..2; at least 16 bytes must be allowed for.
    if (command.cdb_length < 12 || command.cdb[2] > 2 || allocation < 16)
        return check(spec::kInvalidFieldInCdb);
    const bool well_known_only = command.cdb[2] == 1;
    const std::size_t count = well_known_only ? 0 : luns.size();
    std::vector<std::uint8_t> data(8 + count * 8);
    store_be<4>(data, 0, count * 8);
    for (std::size_t i = 0; i < count; ++i) data[8 + i * 8 + 1] = luns[i];
    return cut(std::move(data), allocation);
}

std::array<std::uint8_t, spec::kFixedSenseSize> fixed_sense(spec::Sense sense) {
    std::array<std::uint8_t, spec::kFixedSenseSize> data{};
    data[0] = spec::kFixedSenseCurrent;
    data[2] = sense.key;
    data[7] = spec::kFixedSenseSize - 8;  // additional length
    data[12] = sense.code;
    data[13] = sense.qualifier;
    return data;
}

bool needs_clean_buffer(std::uint8_t opcode) {
    return opcode == static_cast<std::uint8_t>(Opcode::inquiry) ||
           opcode == static_cast<std::uint8_t>(Opcode::mode_sense_6) ||
           opcode == static_cast<std::uint8_t>(Opcode::mode_sense_10);
}

std::size_t allocation_length(const ScsiCommand& command) {
    switch (static_cast<Opcode>(command.cdb[0])) {
        case Opcode::inquiry:
            return static_cast<std::size_t>(load_be<2>(command.cdb, 3));
        case Opcode::mode_sense_6:
            return command.cdb[4];
        case Opcode::mode_sense_10:
            return static_cast<std::size_t>(load_be<2>(command.cdb, 7));
        default:
            return 0;
    }
}

}  // namespace hvsim::vmbus::storvsp
