#pragma once
// The SCSI command set of a virtual disk (SPC-4, SBC-3): what a command means. Moving data and
// waiting for the backend are the controller's work.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vmbus-model/spec/guid.h"
#include "vmbus-model/storvsp/disk_backend.h"
#include "vmbus-model/storvsp/spec/scsi.h"

namespace hvsim::vmbus::storvsp {

/// How a disk presents itself.
struct DiskIdentity {
    std::string vendor = "Msft";           ///< at most 8 ASCII characters
    std::string product = "Virtual Disk";  ///< at most 16
    std::string revision = "1.0";          ///< at most 4
    std::string serial;                    ///< VPD page 80h; empty: made from `id`
    vmbus::spec::Guid id;                  ///< VPD page 83h; different for each disk
};

/// A command as the guest gave it.
struct ScsiCommand {
    std::array<std::uint8_t, 16> cdb{};
    std::uint8_t cdb_length = 0;
    std::uint64_t buffer_length = 0;               ///< bytes of the guest's data buffer
    std::span<const std::uint8_t> parameter_list;  ///< data out, of commands that need_parameters()
};

/// What a command comes to.
struct ScsiResult {
    enum class Kind : std::uint8_t {
        good,   ///< done; `data` goes to the guest, cut to its buffer
        check,  ///< CHECK CONDITION with `sense`
        disk,   ///< `request` goes to the backend; its segments are the controller's to fill in
    };
    Kind kind = Kind::good;
    spec::Sense sense;
    std::vector<std::uint8_t> data;
    DiskRequest request;
};

/// Bytes of data out that the command itself is about (UNMAP), as opposed to data for the medium.
std::size_t parameter_length(const ScsiCommand& command);

/// LBA that a command names, for the trace; 0 when it names none.
std::uint64_t command_lba(const ScsiCommand& command);

ScsiResult execute(const DiskIdentity& identity, const DiskGeometry& geometry,
                   std::uint32_t max_transfer_bytes, const ScsiCommand& command);

/// INQUIRY to a logical unit that does not exist.
ScsiResult absent_inquiry(const ScsiCommand& command);
/// REPORT LUNS of one target; answered by the target, whatever the LUN it was sent to.
ScsiResult report_luns(const ScsiCommand& command, std::span<const std::uint8_t> luns);

/// Fixed-format sense data of a CHECK CONDITION.
std::array<std::uint8_t, spec::kFixedSenseSize> fixed_sense(spec::Sense sense);

/// Whether Linux takes the command for successful whatever status it gets, so that its buffer must
/// be defined in any case: INQUIRY and MODE SENSE.
bool needs_clean_buffer(std::uint8_t opcode);
/// Allocation length of such a command.
std::size_t allocation_length(const ScsiCommand& command);

}  // namespace hvsim::vmbus::storvsp
