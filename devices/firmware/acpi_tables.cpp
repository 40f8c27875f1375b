#include "devices/firmware/acpi_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string_view>

#include "devices/byte_order.h"
#include "devices/firmware/dsdt.h"
#include "devices/firmware/spec/acpi.h"
#include "sim/error.h"

namespace hvsim::devices::firmware {

using namespace spec;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::string_view kOem = "HVSIM ";
constexpr std::string_view kOemTable = "HVSIM   ";

void store_text(Bytes& bytes, std::size_t offset, std::string_view text) {
    std::copy(text.begin(), text.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

template <std::unsigned_integral T>
void append(Bytes& bytes, std::type_identity_t<T> value) {
    bytes.resize(bytes.size() + sizeof(T));
    store_le<T>(bytes, bytes.size() - sizeof(T), value);
}

/// The byte that makes the sum of `bytes` zero.
std::uint8_t checksum(std::span<const std::uint8_t> bytes) {
    return static_cast<std::uint8_t>(0u - std::accumulate(bytes.begin(), bytes.end(), 0u));
}

Bytes new_table(std::string_view signature, std::uint8_t revision) {
    Bytes table(kTableHeaderSize);
    store_text(table, 0, signature);
    table[kTableRevision] = revision;
    store_text(table, kTableOemId, kOem);
    store_text(table, kTableOemTableId, kOemTable);
    store_le<std::uint32_t>(table, kTableOemRevision, 1);
    store_text(table, kTableCreatorId, "HVSM");
    store_le<std::uint32_t>(table, kTableCreatorRevision, 1);
    return table;
}

void finish_table(Bytes& table) {
    store_le<std::uint32_t>(table, kTableLength, static_cast<std::uint32_t>(table.size()));
    table[kTableChecksum] = 0;
    table[kTableChecksum] = checksum(table);
}

// --- The tables ---

Bytes build_dsdt(const AcpiConfig& config) {
    Bytes table = new_table("DSDT", 2);  // revision 2: 64-bit integers
    const aml::Aml terms = dsdt_aml(config);
    table.insert(table.end(), terms.begin(), terms.end());
    finish_table(table);
    return table;
}

Bytes build_facs() {
    Bytes table(64);  // 5.2.10; no checksum
    store_text(table, 0, "FACS");
    store_le<std::uint32_t>(table, 4, 64);
    table[32] = 2;  // version
    return table;
}

/// Generic address in port space (5.2.3.2): `bits` wide, accessed `access` (1 byte, 2 word, 3
/// dword) at a time.
void store_port(Bytes& table, std::size_t offset, std::uint16_t port, std::uint8_t bits,
                std::uint8_t access) {
    table[offset] = 1;
    table[offset + 1] = bits;
    table[offset + 3] = access;
    store_le<std::uint64_t>(table, offset + 4, port);
}

Bytes build_fadt(const AcpiConfig& config, std::uint64_t facs, std::uint64_t dsdt) {
    Bytes table = new_table("FACP", 6);
    table.resize(kFadtSize);
    const AcpiPmPorts& pm = config.pm;
    // The 32-bit FACS address counts when the 64-bit one is zero; both given would be a mistake
    // (5.2.9). The DSDT has both for the sake of old readers.
    store_le<std::uint32_t>(table, kFadtFacs, static_cast<std::uint32_t>(facs));
    store_le<std::uint32_t>(table, kFadtDsdt, static_cast<std::uint32_t>(dsdt));
    store_le<std::uint64_t>(table, kFadtXDsdt, dsdt);
    table[kFadtProfile] = 4;  // enterprise server
    store_le<std::uint16_t>(table, kFadtSci, pm.sci);
    store_le<std::uint32_t>(table, kFadtPm1aEvent, pm.pm1a_event);
    store_le<std::uint32_t>(table, kFadtPm1aControl, pm.pm1a_control);
    store_le<std::uint32_t>(table, kFadtPmTimer, pm.pm_timer);
    store_le<std::uint32_t>(table, kFadtGpe0, pm.gpe0);
    table[kFadtPm1EventLength] = 4;
    table[kFadtPm1ControlLength] = 2;
    table[kFadtPmTimerLength] = 4;
    table[kFadtGpe0Length] = 4;
    store_le<std::uint16_t>(table, kFadtC2Latency, 101);   // over 100: no C2
    store_le<std::uint16_t>(table, kFadtC3Latency, 1001);  // over 1000: no C3
    // No 8042, no VGA; what is in the machine besides is in the DSDT.
    std::uint16_t boot = kBootArchVgaNotPresent;
    if (!config.rtc) boot |= kBootArchNoCmosRtc;
    if (config.rtc) table[kFadtCentury] = 0x32;
    store_le<std::uint16_t>(table, kFadtBootArchitecture, boot);
    store_le<std::uint32_t>(table, kFadtFlags,
                            kFadtWbinvd | kFadtProcC1 | kFadtPowerButtonIsDevice |
                                kFadtSleepButtonIsDevice | kFadtTimer32 | kFadtResetSupported |
                                kFadtUsePlatformClock);
    store_port(table, kFadtReset, pm.reset, 8, 1);
    table[kFadtResetValue] = pm.reset_value;
    table[kFadtMinorRevision] = 4;
    store_port(table, kFadtXPm1aEvent, pm.pm1a_event, 32, 2);
    store_port(table, kFadtXPm1aControl, pm.pm1a_control, 16, 2);
    store_port(table, kFadtXPmTimer, pm.pm_timer, 32, 3);
    store_port(table, kFadtXGpe0, pm.gpe0, 32, 1);
    finish_table(table);
    return table;
}

void append_processor(Bytes& table, std::uint32_t uid, std::uint32_t apic_id) {
    if (apic_id <= 254 && uid <= 254) {
        table.insert(table.end(), {kMadtLocalApic, 8, static_cast<std::uint8_t>(uid),
                                   static_cast<std::uint8_t>(apic_id)});
        append<std::uint32_t>(table, 1);  // enabled
        return;
    }
    table.insert(table.end(), {kMadtLocalX2Apic, 16, 0, 0});
    append<std::uint32_t>(table, apic_id);
    append<std::uint32_t>(table, 1);
    append<std::uint32_t>(table, uid);
}

Bytes build_madt(const AcpiConfig& config) {
    Bytes table = new_table("APIC", 5);
    append<std::uint32_t>(table, 0xfee00000);
    append<std::uint32_t>(table, 0);  // no 8259s
    bool x2apic = false;
    for (std::uint32_t uid = 0; uid < config.apic_ids.size(); ++uid) {
        append_processor(table, uid, config.apic_ids[uid]);
        x2apic = x2apic || config.apic_ids[uid] > 254 || uid > 254;
    }
    table.insert(table.end(), {kMadtIoApic, 12, config.io_apic.id, 0});
    append<std::uint32_t>(table, config.io_apic.address);
    append<std::uint32_t>(table, config.io_apic.gsi_base);
    table.insert(table.end(), {kMadtOverride, 10, 0, config.pm.sci});
    append<std::uint32_t>(table, config.pm.sci);
    append<std::uint16_t>(table, kMpsLevelActiveHigh);
    // LINT1 of all processors is NMI, conforming to the bus.
    table.insert(table.end(), {kMadtLocalApicNmi, 6, 0xff, 0, 0, 1});
    if (x2apic) {
        table.insert(table.end(), {kMadtLocalX2ApicNmi, 12, 0, 0});
        append<std::uint32_t>(table, 0xffffffff);
        table.insert(table.end(), {1, 0, 0, 0});
    }
    finish_table(table);
    return table;
}

Bytes build_waet() {
    Bytes table = new_table("WAET", 1);
    append<std::uint32_t>(table, kWaetRtcGood | kWaetPmTimerGood);
    finish_table(table);
    return table;
}

Bytes build_dmar(const AcpiConfig& config) {
    const AcpiDmarUnit& unit = *config.dmar;
    Bytes table = new_table("DMAR", 1);
    table.push_back(static_cast<std::uint8_t>(unit.host_address_bits - 1));
    table.push_back(unit.interrupt_remapping ? 1 : 0);
    table.resize(table.size() + 10);
    // DRHD (8.3): all devices of segment 0, and the I/O APIC by its requester id (8.3.1).
    append<std::uint16_t>(table, 0);
    append<std::uint16_t>(table, 16 + 8);
    table.insert(table.end(), {1, 0, 0, 0});
    append<std::uint64_t>(table, unit.registers);
    table.insert(table.end(), {3, 8, 0, 0, config.io_apic.id,
                               static_cast<std::uint8_t>(unit.io_apic_requester >> 8),
                               static_cast<std::uint8_t>(unit.io_apic_requester >> 3 & 0x1f),
                               static_cast<std::uint8_t>(unit.io_apic_requester & 7)});
    finish_table(table);
    return table;
}

/// Device entries of an IVHD: every device id, and the I/O APIC as a special device (5.2.2).
void append_ivhd_devices(Bytes& table, const AcpiConfig& config) {
    table.insert(table.end(), {1, 0, 0, 0});  // "all"
    table.insert(table.end(), {72, 0, 0, 0, config.io_apic.id,
                               static_cast<std::uint8_t>(config.ivrs->io_apic_requester & 0xff),
                               static_cast<std::uint8_t>(config.ivrs->io_apic_requester >> 8), 1});
}

Bytes build_ivrs(const AcpiConfig& config) {
    const AcpiIvrsUnit& unit = *config.ivrs;
    Bytes table = new_table("IVRS", 2);
    // IVinfo (5.1): address sizes; extended features are in the 11h block.
    append<std::uint32_t>(table,
                          1u | unit.physical_address_bits << 8 | unit.virtual_address_bits << 15);
    append<std::uint64_t>(table, 0);
    // The same unit twice: block 10h for old readers, 11h with the feature register (5.2.2.1).
    for (const std::uint8_t type : {std::uint8_t{0x10}, std::uint8_t{0x11}}) {
        const std::uint16_t header = type == 0x10 ? 24 : 40;
        table.insert(table.end(), {type, 0});
        append<std::uint16_t>(table, static_cast<std::uint16_t>(header + 12));
        append<std::uint16_t>(table, unit.requester);
        append<std::uint16_t>(table, unit.capability);
        append<std::uint64_t>(table, unit.registers);
        append<std::uint16_t>(table, 0);  // PCI segment
        append<std::uint16_t>(table, 0);  // MSI number 0
        append<std::uint32_t>(table, type == 0x10 ? unit.features : 0);
        if (type == 0x11) {
            append<std::uint64_t>(table, unit.extended_features);
            append<std::uint64_t>(table, 0);
        }
        append_ivhd_devices(table, config);
    }
    finish_table(table);
    return table;
}

Bytes build_xsdt(const std::vector<std::uint64_t>& tables) {
    Bytes table = new_table("XSDT", 1);
    for (const std::uint64_t address : tables) append<std::uint64_t>(table, address);
    finish_table(table);
    return table;
}

Bytes build_rsdp(std::uint64_t xsdt) {
    Bytes table(kRsdpSize);
    store_text(table, 0, "RSD PTR ");
    store_text(table, kRsdpOemId, kOem);
    table[kRsdpRevision] = 2;
    store_le<std::uint32_t>(table, kRsdpLength, kRsdpSize);
    store_le<std::uint64_t>(table, kRsdpXsdt, xsdt);
    table[kRsdpChecksum] = checksum(std::span(table).first(kRsdpFirstPart));
    table[kRsdpExtendedChecksum] = checksum(table);
    return table;
}

/// Lays tables one after another into the firmware area, after the RSDP's place.
class Placer {
  public:
    explicit Placer(const AcpiConfig& config) : config_(config) {}
    std::uint64_t place(std::string signature, Bytes bytes) {
        const std::uint64_t address = (next_ + 63) & ~std::uint64_t{63};  // FACS needs 64
        if (bytes.size() > kFirmwareArea.end() - address)
            throw sim::ConfigError(
                config_.where,
                fmt::format("the ACPI tables of {} processors do not fit {} KiB",
                            config_.apic_ids.size(), kFirmwareArea.length / 1024),
                "take fewer processors");
        next_ = address + bytes.size();
        tables_.push_back({std::move(signature), address, std::move(bytes)});
        return address;
    }
    std::vector<AcpiTable> take() { return std::move(tables_); }

  private:
    const AcpiConfig& config_;
    std::uint64_t next_ = kFirmwareArea.base + 64;
    std::vector<AcpiTable> tables_;
};

}  // namespace

const AcpiTable* AcpiImage::find(const std::string& signature) const noexcept {
    for (const AcpiTable& table : tables)
        if (table.signature == signature) return &table;
    return nullptr;
}

AcpiImage build_acpi(const AcpiConfig& config) {
    SIM_ASSERT(!config.apic_ids.empty());
    Placer placer(config);
    const std::uint64_t facs = placer.place("FACS", build_facs());
    const std::uint64_t dsdt = placer.place("DSDT", build_dsdt(config));
    std::vector<std::uint64_t> listed;
    listed.push_back(placer.place("FACP", build_fadt(config, facs, dsdt)));
    listed.push_back(placer.place("APIC", build_madt(config)));
    if (config.waet) listed.push_back(placer.place("WAET", build_waet()));
    if (config.dmar) listed.push_back(placer.place("DMAR", build_dmar(config)));
    if (config.ivrs) listed.push_back(placer.place("IVRS", build_ivrs(config)));
    const std::uint64_t xsdt = placer.place("XSDT", build_xsdt(listed));

    AcpiImage image;
    image.tables = placer.take();
    image.tables.insert(image.tables.begin(), {"RSD PTR ", kFirmwareArea.base, build_rsdp(xsdt)});
    return image;
}

void write_acpi(const AcpiImage& image, GuestMemoryWriter& memory) {
    for (const AcpiTable& table : image.tables)
        if (!memory.write(table.address, table.bytes))
            throw sim::ConfigError(
                fmt::format("no memory for an ACPI table at {:#x}", table.address),
                "the machine's memory does not match its RAM size");
}

}  // namespace hvsim::devices::firmware
