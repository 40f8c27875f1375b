// ACPI tables: structure, checksums, golden AML, and a round trip through the reference compiler.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "devices/byte_order.h"
#include "devices/firmware/acpi_tables.h"
#include "devices/firmware/aml.h"
#include "devices/firmware/dsdt.h"

using namespace hvsim;
using namespace hvsim::devices;
using namespace hvsim::devices::firmware;
using Bytes = std::vector<std::uint8_t>;

namespace {

std::uint8_t sum(std::span<const std::uint8_t> bytes) {
    return static_cast<std::uint8_t>(std::accumulate(bytes.begin(), bytes.end(), 0u));
}

AcpiConfig config_with(std::vector<std::uint32_t> ids) {
    AcpiConfig config;
    config.apic_ids = std::move(ids);
    return config;
}

/// A bus without registers of its own: its container hands out memory windows.
AcpiDevice container_with_bus() {
    AcpiDevice bus;
    bus.name = "BUS0";
    bus.id = "Bus";
    bus.compatible = "PNP0A05";
    bus.description = "A BUS";
    bus.unique_id = 0;
    bus.status = 0xf;
    bus.has_resources = true;
    AcpiDevice container;
    container.name = "CONT";
    container.id = "ACPI0004";
    container.unique_id = 0;
    container.has_resources = true;
    container.resources = {AcpiWindow{0xf8000000, 0x6c00000}, AcpiWindow{0x140000000, 0x20000000},
                           AcpiWindow{}, AcpiMemory{0xfed00000, 0x400}};
    container.children = {bus};
    return container;
}

void check_tables(const AcpiImage& image) {
    std::uint64_t free_from = kFirmwareArea.base;
    for (const AcpiTable& table : image.tables) {
        CAPTURE(table.signature);
        CHECK(table.address % 16 == 0);
        CHECK(table.address >= free_from);
        free_from = table.address + table.bytes.size();
        CHECK(free_from <= kFirmwareArea.end());
        CHECK(std::string(table.bytes.begin(), table.bytes.begin() + static_cast<std::ptrdiff_t>(
                                                                         table.signature.size())) ==
              table.signature);
        if (table.signature == "RSD PTR ") {
            CHECK(sum(std::span(table.bytes).first(20)) == 0);
            CHECK(sum(table.bytes) == 0);
            continue;
        }
        CHECK(load_le<std::uint32_t>(table.bytes, 4) == table.bytes.size());
        if (table.signature == "FACS")
            CHECK(table.address % 64 == 0);
        else
            CHECK(sum(table.bytes) == 0);
    }
    const Bytes& rsdp = image.tables.front().bytes;
    const AcpiTable& xsdt = *image.find("XSDT");
    CHECK(load_le<std::uint64_t>(rsdp, 24) == xsdt.address);
    const Bytes& fadt = image.find("FACP")->bytes;
    CHECK(load_le<std::uint64_t>(fadt, 140) == image.find("DSDT")->address);
    CHECK(load_le<std::uint32_t>(fadt, 36) == image.find("FACS")->address);
    for (std::size_t at = 36; at < xsdt.bytes.size(); at += 8) {
        const auto address = load_le<std::uint64_t>(xsdt.bytes, at);
        unsigned found = 0;
        for (const AcpiTable& table : image.tables)
            if (table.address == address) ++found;
        CHECK(found == 1);
    }
}

int run(const std::string& command) {
    return std::system(command.c_str());
}  // NOLINT

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

struct TemporaryFolder {
    explicit TemporaryFolder(const std::string& name)
        : path(std::filesystem::temp_directory_path() /
               ("hvsim-acpi-" + name + "-" + std::to_string(getpid()))) {
        std::filesystem::create_directories(path);
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::filesystem::path path;
};

/// Disassembles each table and compiles the result; the AML of the DSDT must come out the same.
/// Returns the DSDT's source. Message 6033 is off: it objects to string ids that are not 7 or 8
/// characters long, which existing machines have.
std::string round_trip(const AcpiImage& image, const std::string& name) {
    const TemporaryFolder temporary(name);
    const std::filesystem::path& folder = temporary.path;
    std::string dsdt_source;
    for (const AcpiTable& table : image.tables) {
        CAPTURE(table.signature);
        if (table.signature == "RSD PTR ") continue;  // no table to the compiler
        const std::string stem = table.signature.substr(0, 3);
        const std::filesystem::path binary = folder / (stem + ".dat");
        std::ofstream(binary, std::ios::binary)
            .write(reinterpret_cast<const char*>(table.bytes.data()),
                   static_cast<std::streamsize>(table.bytes.size()));
        const std::string enter = "cd '" + folder.string() + "' && ";
        CHECK(run(enter + "iasl -d " + stem + ".dat > " + stem + ".d.log 2>&1") == 0);
        CHECK(run(enter + "iasl -ve -vw 6033 -p again" + stem + " " + stem + ".dsl > " + stem +
                  ".c.log 2>&1") == 0);
        const std::string log = text_of(folder / (stem + ".d.log"));
        const std::string source = text_of(folder / (stem + ".dsl"));
        for (const char* bad : {"Error", "Warning", "Invalid", "Incorrect", "**** "}) {
            CAPTURE(bad);
            CHECK(log.find(bad) == std::string::npos);
            CHECK(source.find(bad) == std::string::npos);
        }
        if (table.signature == "DSDT") {
            dsdt_source = source;
            const std::string again = text_of(folder / ("again" + stem + ".aml"));
            REQUIRE(again.size() == table.bytes.size());
            // Terms only: the compiler names itself in the header.
            CHECK(std::equal(
                again.begin() + 36, again.end(), table.bytes.begin() + 36,
                [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; }));
        }
    }
    return dsdt_source;
}

bool have_iasl() {
    return run("iasl -v > /dev/null 2>&1") == 0;
}

}  // namespace

TEST_CASE("AML: golden encodings") {
    CHECK(aml::integer(0) == Bytes{0x00});
    CHECK(aml::integer(1) == Bytes{0x01});
    CHECK(aml::integer(0xff) == Bytes{0x0a, 0xff});
    CHECK(aml::integer(0x100) == Bytes{0x0b, 0x00, 0x01});
    CHECK(aml::integer(0x10000) == Bytes{0x0c, 0x00, 0x00, 0x01, 0x00});
    CHECK(aml::integer(0x100000000) == Bytes{0x0e, 0, 0, 0, 0, 1, 0, 0, 0});
    CHECK(aml::string("Ab") == Bytes{0x0d, 'A', 'b', 0});
    CHECK(aml::name_string("_S5") == Bytes{'_', 'S', '5', '_'});
    CHECK(aml::name_string("\\_SB.PCI0") ==
          Bytes{'\\', 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0'});
    CHECK(aml::name_string("^A.B.C") ==
          Bytes{'^', 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_'});
    CHECK(aml::name_string("\\") == Bytes{'\\', 0});
    CHECK(aml::eisa_id("PNP0501") == Bytes{0x0c, 0x41, 0xd0, 0x05, 0x01});
    CHECK(aml::package({aml::integer(5), aml::integer(0)}) == Bytes{0x12, 0x05, 2, 0x0a, 5, 0});
    CHECK(aml::return_value(aml::integer(15)) == Bytes{0xa4, 0x0a, 0x0f});
    CHECK(aml::method("_STA", 2, true, {}) == Bytes{0x14, 0x06, '_', 'S', 'T', 'A', 0x0a});
    CHECK(aml::resource_template(aml::concat({aml::io_ports(0x3f8, 8), aml::isa_irq(4)})) ==
          Bytes{0x11, 0x10, 0x0a, 0x0d, 0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08, 0x22, 0x10,
                0x00, 0x79, 0x00});
    CHECK_FALSE(aml::is_eisa_id("VMBus"));
    CHECK_FALSE(aml::is_eisa_id("ACPI0007"));
    CHECK_FALSE(aml::is_eisa_id("PNP05o1"));
    CHECK_THROWS_AS(aml::name_string("TOOLONG"), sim::ModelError);
    CHECK_THROWS_AS(aml::name_string("1ABC"), sim::ModelError);
    CHECK_THROWS_AS(aml::name_string("A..B"), sim::ModelError);
    CHECK_THROWS_AS(aml::string("\n"), sim::ModelError);
    CHECK_THROWS_AS(aml::qword_memory(~std::uint64_t{0}, 2, aml::WindowUse::producer),
                    sim::ModelError);
}

TEST_CASE("AML: package lengths at each boundary count themselves") {
    // {content bytes, length bytes}: PkgLength 20.2.4.
    const std::pair<std::size_t, std::size_t> cases[] = {{0, 1},
                                                         {62 - 4, 1},
                                                         {63 - 4, 2},
                                                         {0xfff - 2 - 4, 2},
                                                         {0xfff - 1 - 4, 3},
                                                         {0xfffff - 3 - 4, 3},
                                                         {0xfffff - 2 - 4, 4}};
    for (const auto& [content, expected] : cases) {
        const Bytes scope = aml::scope("ABCD", Bytes(content, 0xa3));
        const std::size_t extra = scope[1] >> 6;
        CHECK(extra + 1 == expected);
        std::size_t length = extra == 0 ? scope[1] & 0x3fu : scope[1] & 0xfu;
        for (std::size_t i = 0; i < extra; ++i) length |= std::size_t{scope[2 + i]} << (4 + 8 * i);
        CHECK(length == scope.size() - 1);
    }
}

TEST_CASE("a small machine: every table in place, right in size and checksum") {
    AcpiConfig config = config_with({0, 1, 2, 3});
    config.devices = {container_with_bus()};
    const AcpiImage image = build_acpi(config);
    check_tables(image);
    CHECK(image.rsdp() == 0xe0000);
    CHECK(image.find("DMAR") == nullptr);

    const Bytes& madt = image.find("APIC")->bytes;
    CHECK(madt.size() == 44 + 4 * 8 + 12 + 10 + 6);
    CHECK(Bytes(madt.begin() + 36, madt.end()) ==
          Bytes{0, 0,  0xe0, 0xfe, 0, 0, 0,    0,                                //
                0, 8,  0,    0,    1, 0, 0,    0,    0,    8, 1, 1, 1, 0, 0, 0,  //
                0, 8,  2,    2,    1, 0, 0,    0,    0,    8, 3, 3, 1, 0, 0, 0,  //
                1, 12, 0,    0,    0, 0, 0xc0, 0xfe, 0,    0, 0, 0,              //
                2, 10, 0,    9,    9, 0, 0,    0,    0x0d, 0,                    //
                4, 6,  0xff, 0,    0, 1});

    const Bytes& fadt = image.find("FACP")->bytes;
    CHECK(fadt.size() == 276);
    CHECK(load_le<std::uint16_t>(fadt, 46) == 9);
    CHECK(load_le<std::uint32_t>(fadt, 48) == 0);  // no SMI command: always in ACPI mode
    CHECK(load_le<std::uint32_t>(fadt, 76) == 0x408);
    CHECK(load_le<std::uint32_t>(fadt, 112) == 0x8535);
    CHECK(load_le<std::uint16_t>(fadt, 109) == 4);
    CHECK(Bytes(fadt.begin() + 116, fadt.begin() + 129) ==
          Bytes{1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 6});
    CHECK(load_le<std::uint32_t>(image.find("WAET")->bytes, 36) == 3);
    // The same configuration gives the same bytes.
    const AcpiImage again = build_acpi(config);
    for (std::size_t i = 0; i < image.tables.size(); ++i)
        CHECK(image.tables[i].bytes == again.tables[i].bytes);
}

TEST_CASE("processors beyond APIC id 254 are x2APIC entries, with their NMI") {
    const Bytes madt = build_acpi(config_with({0, 254, 255, 0x12345})).find("APIC")->bytes;
    CHECK(madt.size() == 44 + 2 * 8 + 2 * 16 + 12 + 10 + 6 + 12);
    CHECK(Bytes(madt.begin() + 52, madt.begin() + 92) ==
          Bytes{0, 8,  1, 254, 1,    0,    0, 0,                          //
                9, 16, 0, 0,   255,  0,    0, 0, 1, 0, 0, 0, 2, 0, 0, 0,  //
                9, 16, 0, 0,   0x45, 0x23, 1, 0, 1, 0, 0, 0, 3, 0, 0, 0});
    CHECK(Bytes(madt.end() - 12, madt.end()) ==
          Bytes{10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0});
}

TEST_CASE("many processors fit, too many are a configuration error") {
    std::vector<std::uint32_t> ids(1024);
    std::iota(ids.begin(), ids.end(), 0u);
    check_tables(build_acpi(config_with(ids)));
    ids.resize(4096);
    CHECK_THROWS_AS(build_acpi(config_with(ids)), sim::ConfigError);
}

TEST_CASE("DMAR and IVRS: golden bytes") {
    AcpiConfig config = config_with({0});
    config.io_apic.id = 5;
    config.dmar = AcpiDmarUnit{};
    config.dmar->io_apic_requester = 0x12fb;
    config.ivrs = AcpiIvrsUnit{};
    config.ivrs->extended_features = 0x1122334455667788;
    const AcpiImage image = build_acpi(config);
    check_tables(image);
    const Bytes& dmar = image.find("DMAR")->bytes;
    CHECK(Bytes(dmar.begin() + 36, dmar.end()) ==
          Bytes{45, 1, 0,  0, 0, 0,    0,    0, 0, 0, 0,    0,                 //
                0,  0, 24, 0, 1, 0,    0,    0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0,  //
                3,  8, 0,  0, 5, 0x12, 0x1f, 3});
    const Bytes& ivrs = image.find("IVRS")->bytes;
    CHECK(ivrs.size() == 48 + 36 + 52);
    CHECK(load_le<std::uint32_t>(ivrs, 36) == (1u | 46u << 8 | 48u << 15));
    CHECK(Bytes(ivrs.begin() + 48, ivrs.begin() + 84) ==
          Bytes{0x10, 0, 36, 0, 2, 0, 0x40, 0, 0,  0, 0xd8, 0xfe, 0, 0,    0, 0, 0, 0, 0, 0,  //
                0,    0, 0,  0, 1, 0, 0,    0, 72, 0, 0,    0,    5, 0xa0, 0, 1});
    CHECK(ivrs[84] == 0x11);
    CHECK(load_le<std::uint64_t>(ivrs, 84 + 24) == 0x1122334455667788);
}

TEST_CASE("the reference compiler takes every table apart and together again") {
    REQUIRE_MESSAGE(have_iasl(), "iasl (package acpica-tools) is not installed");
    AcpiConfig config = config_with({0, 1, 255});
    config.devices = {container_with_bus()};
    config.dmar = AcpiDmarUnit{};
    const std::string source = round_trip(build_acpi(config), "guest");
    for (const char* term :
         {"Device (CONT)", "Name (_HID, \"ACPI0004\"", "Name (_HID, \"Bus\")", "\"A BUS\"",
          "0x00000000F8000000, // Range Minimum", "0x00000000FEBFFFFF, // Range Maximum",
          "0x0000000140000000, // Range Minimum", "0x000000015FFFFFFF, // Range Maximum",
          "EisaId (\"PNP0501\")", "EisaId (\"PNP0B00\")", "Name (_S5", "Device (C002)",
          "Method (_STA, 0, NotSerialized)"}) {
        CAPTURE(term);
        CHECK(source.find(term) != std::string::npos);
    }
    AcpiConfig bare = config_with({0});
    bare.com1 = bare.rtc = bare.processor_devices = bare.waet = false;
    bare.ivrs = AcpiIvrsUnit{};
    round_trip(build_acpi(bare), "bare");
}
