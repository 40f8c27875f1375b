#pragma once
// ACPI tables of a machine without firmware of its own (ACPI 6.4): RSDP, XSDT, FADT, FACS, MADT,
// DSDT, WAET, and DMAR or IVRS where an IOMMU is.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "devices/firmware/acpi_device.h"
#include "devices/firmware/guest_memory_writer.h"
#include "devices/firmware/memory_plan.h"

namespace hvsim::devices::firmware {

/// Fixed hardware registers in port space (ACPI 6.4 4.8.3), with the widths that FADT gives them.
struct AcpiPmPorts {
    std::uint16_t pm1a_event = 0x400;    ///< 4 bytes: status, enable
    std::uint16_t pm1a_control = 0x404;  ///< 2 bytes
    std::uint16_t pm_timer = 0x408;      ///< 4 bytes, 32-bit counter
    std::uint16_t gpe0 = 0x40c;          ///< 4 bytes: 16 events
    std::uint16_t reset = 0xcf9;         ///< reset register
    std::uint8_t reset_value = 0x06;
    std::uint8_t s5_sleep_type = 0;  ///< SLP_TYP that switches off
    std::uint8_t sci = 9;            ///< level triggered, active high
};

struct AcpiIoApic {
    std::uint8_t id = 0;
    std::uint32_t address = 0xfec00000;
    std::uint32_t gsi_base = 0;
};

/// One DMA remapping unit that serves everything (VT-d 4.1 8.1).
struct AcpiDmarUnit {
    std::uint64_t registers = 0xfed90000;
    unsigned host_address_bits = 46;
    bool interrupt_remapping = true;
    std::uint16_t io_apic_requester = 0xf8;  ///< bus 15:8, device 7:3, function 2:0
};

/// One AMD IOMMU that serves everything (AMD I/O Virtualization 3.08, chapter 5).
struct AcpiIvrsUnit {
    std::uint64_t registers = 0xfed80000;
    std::uint16_t requester = 0x02;   ///< the IOMMU's own device id
    std::uint16_t capability = 0x40;  ///< offset of its capability block in configuration space
    unsigned physical_address_bits = 46;
    unsigned virtual_address_bits = 48;
    std::uint32_t features = 0;           ///< feature reporting field of the 10h block
    std::uint64_t extended_features = 0;  ///< EFR image, used by the 11h block
    std::uint16_t io_apic_requester = 0xa0;
};

struct AcpiConfig {
    std::vector<std::uint32_t> apic_ids;  ///< of the processors; the first is the boot processor
    AcpiPmPorts pm;
    AcpiIoApic io_apic;
    bool com1 = true;
    bool rtc = true;
    bool processor_devices = true;  ///< ACPI0007 devices in the DSDT
    /// Timer reads need no workarounds for faulty chips (WAET), so a guest reads each once.
    bool waet = true;
    std::vector<AcpiDevice> devices;  ///< more devices under \_SB
    std::optional<AcpiDmarUnit> dmar;
    std::optional<AcpiIvrsUnit> ivrs;
    sim::SourceLocation where;  ///< of the machine in its configuration file
};

struct AcpiTable {
    std::string signature;
    std::uint64_t address = 0;
    std::vector<std::uint8_t> bytes;
};

/// All tables with their places in kFirmwareArea, RSDP first.
struct AcpiImage {
    std::vector<AcpiTable> tables;
    std::uint64_t rsdp() const noexcept { return tables.front().address; }
    const AcpiTable* find(const std::string& signature) const noexcept;
};

/// Throws ConfigError when the tables of that many processors do not fit the firmware area.
AcpiImage build_acpi(const AcpiConfig& config);
/// Throws ConfigError when there is no memory for a table.
void write_acpi(const AcpiImage& image, GuestMemoryWriter& memory);

}  // namespace hvsim::devices::firmware
