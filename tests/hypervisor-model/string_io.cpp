// INS and OUTS as a parent performs them for its child.
#include "hypervisor-model/stack/string_io.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <vector>

using namespace hvsim;
using namespace hvsim::hv;
using namespace hvsim::hv::stack;

namespace {

constexpr std::uint16_t kPort = 0x3f8;
constexpr std::uint16_t kLongCode = 0xa09b, kCode32 = 0xc09b, kCode16 = 0x009b;

/// Linear page n lies at guest-physical page n + 0x100, where the table does not say otherwise.
struct Fake final : StringIoTarget {
    hc::TranslateResult translate(std::uint64_t page, bool write) override {
        ++translations;
        hc::TranslateResult result;
        if (const auto found = codes.find(page); found != codes.end())
            result.code = static_cast<std::uint32_t>(found->second);
        if (write && read_only == page) result.code = 2;
        result.gpa_page = page + 0x100;
        return result;
    }
    void read(std::uint64_t gpa, std::span<std::uint8_t> out) override {
        for (auto& byte : out) byte = memory.contains(gpa) ? memory[gpa] : 0xff, ++gpa;
    }
    void write(std::uint64_t gpa, std::span<const std::uint8_t> in) override {
        for (const std::uint8_t byte : in) memory[gpa++] = byte;
    }
    std::uint32_t read_port(std::uint16_t port, unsigned size) override {
        CHECK(port == kPort);
        sizes.push_back(size);
        return 0x44332211 + 0x01010101 * reads++;
    }
    void write_port(std::uint16_t port, unsigned size, std::uint32_t value) override {
        CHECK(port == kPort);
        sizes.push_back(size);
        written.push_back(value);
    }
    std::uint64_t segment_base(unsigned segment) override { return 0x10000 * (segment + 1); }
    std::uint8_t at(std::uint64_t linear) { return memory[linear + 0x100000]; }
    void set(std::uint64_t linear, std::initializer_list<std::uint8_t> bytes) {
        for (const std::uint8_t byte : bytes) memory[linear++ + 0x100000] = byte;
    }

    std::map<std::uint64_t, std::uint8_t> memory;
    std::map<std::uint64_t, hc::TranslateCode> codes;
    std::uint64_t read_only = ~std::uint64_t{0};
    std::vector<unsigned> sizes;
    std::vector<std::uint32_t> written;
    unsigned reads = 0, translations = 0;
};

IoPortIntercept message(bool input, unsigned size, std::initializer_list<std::uint8_t> code,
                        std::uint16_t cs = kLongCode) {
    IoPortIntercept m;
    m.header.access =
        static_cast<std::uint8_t>(input ? InterceptAccess::read : InterceptAccess::write);
    m.header.cs.attributes = cs;
    m.header.cs.base = 0x700000;
    m.header.execution_state = static_cast<std::uint16_t>(
        ExecutionState::kCr0Pe | (cs == kLongCode ? ExecutionState::kEferLma : 0));
    m.header.rip = 0x5000;
    m.header.rflags = 2;
    m.header.instruction_length_cr8 = static_cast<std::uint8_t>(code.size());
    m.port = kPort;
    const bool rep = std::find(code.begin(), code.end(), 0xf3) != code.end();
    m.access_info = static_cast<std::uint8_t>(size | kIoString | (rep ? kIoRep : 0u));
    std::copy(code.begin(), code.end(), m.instruction_bytes.begin());
    m.instruction_byte_count = 15;  // what follows is other code
    m.rcx = 3;
    m.rsi = 0x2000;
    m.rdi = 0x3000;
    m.ds.base = 0x800000;
    m.es.base = 0x900000;
    return m;
}

}  // namespace

TEST_CASE("INS writes to [RDI], OUTS reads [RSI]; without REP once") {
    Fake f;
    StringIoResult r = emulate_string_io(message(true, 1, {0x6c}), f);
    CHECK(f.at(0x3000) == 0x11);
    CHECK(r.rdi == 0x3001);
    CHECK(r.rsi == 0x2000);
    CHECK(r.rcx == 3);
    CHECK(r.rip == 0x5001);
    CHECK_FALSE(r.fault);
    f.set(0x2000, {0xde, 0xad, 0xbe, 0xef});
    r = emulate_string_io(message(false, 4, {0x6f}), f);
    CHECK(f.written == std::vector<std::uint32_t>{0xefbeadde});
    CHECK(r.rsi == 0x2004);
    CHECK(f.sizes == std::vector<unsigned>{1, 4});
}

TEST_CASE("REP: count, direction, a count of zero") {
    Fake f;
    IoPortIntercept m = message(true, 2, {0xf3, 0x66, 0x6d});
    StringIoResult r = emulate_string_io(m, f);
    CHECK(r.iterations == 3);
    CHECK(r.rcx == 0);
    CHECK(r.rdi == 0x3006);
    CHECK(r.rip == 0x5003);
    CHECK(f.at(0x3000) == 0x11);
    CHECK(f.at(0x3001) == 0x22);
    CHECK(f.at(0x3004) == 0x13);
    CHECK(f.translations == 1);
    m.header.rflags |= 1u << 10;
    r = emulate_string_io(m, f);
    CHECK(r.rdi == 0x2ffa);
    m.rcx = 0;
    r = emulate_string_io(m, f);
    CHECK(r.iterations == 0);
    CHECK(r.rdi == 0x3000);
    CHECK(r.rip == 0x5003);
}

TEST_CASE("a long REP comes in parts, standing on the instruction in between") {
    Fake f;
    IoPortIntercept m = message(false, 1, {0xf3, 0x6e});
    m.rcx = kStringIoIterations + 1;
    StringIoResult r = emulate_string_io(m, f);
    CHECK(r.iterations == kStringIoIterations);
    CHECK(r.rcx == 1);
    CHECK(r.rip == 0x5000);
    m.rcx = r.rcx;
    m.rsi = r.rsi;
    r = emulate_string_io(m, f);
    CHECK(r.rcx == 0);
    CHECK(r.rip == 0x5002);
    CHECK(r.rsi == 0x2000 + kStringIoIterations + 1);
}

TEST_CASE("address size: 64, 32 and 16 bits, and what becomes of the rest of the registers") {
    Fake f;
    IoPortIntercept m = message(true, 1, {0xf3, 0x67, 0x6c});
    m.rdi = 0xffff'ffff'ffff'ffff;  // EDI wraps around
    m.rcx = 0xaaaa'aaaa'0000'0002;
    StringIoResult r = emulate_string_io(m, f);
    CHECK(r.iterations == 2);
    CHECK(r.rdi == 1);
    CHECK(r.rcx == 0);
    CHECK(f.at(0xffff'ffff) == 0x11);
    CHECK(f.at(0) == 0x12);
    // 16-bit code: DI wraps, the upper half stays; the segment's base counts.
    m = message(true, 1, {0xf3, 0x6c}, kCode16);
    m.rdi = 0x1234'ffff;
    m.rcx = 0x5678'0002;
    r = emulate_string_io(m, f);
    CHECK(r.rdi == 0x1234'0001);
    CHECK(r.rcx == 0x5678'0000);
    CHECK(f.at(0x90'ffff) == 0x13);
    CHECK(f.at(0x90'0000) == 0x14);
    m = message(true, 1, {0x67, 0x6c}, kCode16);
    m.rdi = 0x1'0000;
    r = emulate_string_io(m, f);
    CHECK(r.rdi == 0x1'0001);
    CHECK(f.at(0x91'0000) == 0x15);
    m = message(true, 1, {0x67, 0x6c}, kCode32);
    m.rdi = 0x1'0005;
    CHECK(emulate_string_io(m, f).rdi == 0x1'0006);
    CHECK(f.at(0x90'0005) == 0x16);
}

TEST_CASE("segments: DS or an override for OUTS, ES always for INS, bases in 64-bit mode") {
    const auto linear = [](std::initializer_list<std::uint8_t> code, std::uint16_t cs) {
        Fake f;
        for (const std::uint64_t base :
             {0x800000u, 0x900000u, 0x700000u, 0x30000u, 0x50000u, 0x60000u, 0u})
            f.set(base + 0x2000, {static_cast<std::uint8_t>(base >> 16)});
        emulate_string_io(message(false, 1, code, cs), f);
        return f.written.at(0);
    };
    CHECK(linear({0x6e}, kCode32) == 0x80);
    CHECK(linear({0x26, 0x6e}, kCode32) == 0x90);
    CHECK(linear({0x2e, 0x6e}, kCode32) == 0x70);
    CHECK(linear({0x36, 0x6e}, kCode32) == 0x03);
    CHECK(linear({0x3e, 0x6e}, kCode32) == 0x80);
    CHECK(linear({0x64, 0x6e}, kCode32) == 0x05);
    CHECK(linear({0x65, 0x6e}, kCode32) == 0x06);
    CHECK(linear({0x64, 0x65, 0x6e}, kCode32) == 0x06);  // the last one counts
    CHECK(linear({0x26, 0x6e}, kLongCode) == 0);
    CHECK(linear({0x64, 0x48, 0x6e}, kLongCode) == 0x05);
    CHECK(linear({0x6e, 0x64, 0x64}, kLongCode) == 0);  // behind the opcode is other code
    Fake f;
    emulate_string_io(message(true, 1, {0x64, 0x6c}, kCode32), f);
    CHECK(f.at(0x90'3000) == 0x11);
}

TEST_CASE("an operand across two pages") {
    Fake f;
    IoPortIntercept m = message(true, 4, {0x6d});
    m.rdi = 0x3ffd;
    emulate_string_io(m, f);
    CHECK(f.at(0x3ffd) == 0x11);
    CHECK(f.at(0x4000) == 0x44);
    f.codes[4] = hc::TranslateCode::page_not_present;
    const StringIoResult r = emulate_string_io(m, f);
    REQUIRE(r.fault);
    CHECK(r.fault->vector == 14);
    CHECK(r.fault->address == 0x4000);
    CHECK(f.reads == 1);  // the port was not read in vain
}

TEST_CASE("faults: error code, CR2, registers of the iterations before") {
    Fake f;
    IoPortIntercept m = message(true, 1, {0xf3, 0x6c});
    m.rdi = 0x3ffe;
    f.codes[4] = hc::TranslateCode::page_not_present;
    StringIoResult r = emulate_string_io(m, f);
    REQUIRE(r.fault);
    CHECK(r.fault->error_code == 2);
    CHECK(r.fault->address == 0x4000);
    CHECK(r.rcx == 1);
    CHECK(r.rdi == 0x4000);
    CHECK(r.rip == 0x5000);
    f.codes[4] = hc::TranslateCode::invalid_page_table_flags;
    m.header.execution_state |= 3;  // CPL 3
    r = emulate_string_io(m, f);
    REQUIRE(r.fault);
    CHECK(r.fault->error_code == (1 | 2 | 4 | 8));
    f.codes.clear();
    f.read_only = 3;
    r = emulate_string_io(m, f);
    REQUIRE(r.fault);
    CHECK(r.fault->error_code == (1 | 2 | 4));
    m = message(false, 1, {0x6e});
    m.rsi = 0x8000'0000'0000;
    r = emulate_string_io(m, f);
    REQUIRE(r.fault);
    CHECK(r.fault->vector == 13);
    CHECK(r.fault->error_code == 0);
}

TEST_CASE("where no memory is, reads see ones; a hostile size does no harm") {
    Fake f;
    f.codes[2] = hc::TranslateCode::gpa_unmapped;
    emulate_string_io(message(false, 2, {0x66, 0x6f}), f);
    CHECK(f.written == std::vector<std::uint32_t>{0xffff});
    for (const unsigned size : {0u, 7u}) {
        IoPortIntercept m = message(true, 1, {0x6c});
        m.access_info = static_cast<std::uint8_t>(kIoString | size);
        m.instruction_byte_count = 255;
        m.instruction_bytes.fill(0x66);
        CHECK_FALSE(emulate_string_io(m, f).fault);
    }
}
