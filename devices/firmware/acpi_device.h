#pragma once
// A device of the ACPI namespace as data; its owner describes it, the DSDT says it.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace hvsim::devices::firmware {

/// A memory window that the device's children use (ACPI 6.4 6.4.3.5, QWord address space).
struct AcpiWindow {
    std::uint64_t base = 0;
    std::uint64_t length = 0;  ///< bytes, 0: left out
};
/// Registers of the device (6.4.3.4, 32-bit fixed memory).
struct AcpiMemory {
    std::uint32_t base = 0;
    std::uint32_t length = 0;
};
struct AcpiPorts {
    std::uint16_t base = 0;
    std::uint8_t length = 0;
};
/// An edge-triggered, active-high ISA interrupt, 0-15.
struct AcpiIrq {
    unsigned irq = 0;
};
using AcpiResource = std::variant<AcpiWindow, AcpiMemory, AcpiPorts, AcpiIrq>;

struct AcpiDevice {
    std::string name;         ///< one to four of A-Z 0-9 _
    std::string id;           ///< _HID: coded as EISA id where it has that form, else as string
    std::string compatible;   ///< _CID, may be empty
    std::string description;  ///< _DDN, may be empty
    std::optional<std::uint64_t> unique_id;  ///< _UID
    std::optional<std::uint32_t> status;     ///< _STA; absent means present and working
    bool has_resources = false;              ///< _CRS, even when `resources` is empty
    std::vector<AcpiResource> resources;
    std::vector<AcpiDevice> children;
};

}  // namespace hvsim::devices::firmware
