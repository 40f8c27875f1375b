// AMD-V: entries of the nested tables and bits of the VMCB changed in memory (APM 2 15.15, 15.16,
// 15.25).
#include "cpu/svm/guest.h"
#include "tests/cpu/programs/raw_memory.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;
using namespace hvsim::cpu::svm;

namespace {

constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4, kNoExecute = 1ull << 63;
constexpr std::uint64_t kAll = kPresent | kWritable | kUser;

struct SvmGuest : RawGuest {
    SvmGuest() : RawGuest("amd-milan", kAll, 0) {
        m.core().set_gpr(engine::kR8, 1);
        const Core& core = m.core();
        put(vmcb::INTERCEPT_MISC2,
            intercept_mask(ExitCode::VMRUN) | intercept_mask(ExitCode::VMMCALL));
        put(vmcb::IOPM_BASE_PA, kBitmaps);
        put(vmcb::MSRPM_BASE_PA, kBitmaps + 0x4000);
        put(vmcb::GUEST_ASID, 1);
        put(vmcb::NESTED_CONTROL, 1);
        put(vmcb::N_CR3, kTables);
        put(vmcb::EFER, core.efer() | efer::kSVME);
        put(vmcb::CR0, core.cr(0));
        put(vmcb::CR3, core.cr(3));
        put(vmcb::CR4, core.cr(4));
        put(vmcb::CS_SELECTOR, CODE64);
        put(vmcb::CS_ATTRIB, 0xa9b);
        put(vmcb::CS_LIMIT, ~0u);
        for (const auto& [selector, attributes, limit] :
             {std::tuple{vmcb::SS_SELECTOR, vmcb::SS_ATTRIB, vmcb::SS_LIMIT},
              std::tuple{vmcb::DS_SELECTOR, vmcb::DS_ATTRIB, vmcb::DS_LIMIT},
              std::tuple{vmcb::ES_SELECTOR, vmcb::ES_ATTRIB, vmcb::ES_LIMIT}}) {
            put(selector, DATA_FLAT);
            put(attributes, 0xc93);
            put(limit, ~0u);
        }
        put(vmcb::RFLAGS, rflags::kReserved1);
        put(vmcb::RSP, STACK);
        put(vmcb::DR6, 0xffff0ff0);
        put(vmcb::DR7, 0x400);
        put(vmcb::G_PAT, kPatReset);
    }
    template <typename T>
    T get(FieldAt<T> field) const {
        return m.peek<T>(kControlBlock + field.offset);
    }
    template <typename T>
    void put(FieldAt<T> field, std::type_identity_t<T> value) {
        m.poke<T>(kControlBlock + field.offset, value);
    }
    /// VMRUN at a label with these clean bits, until the #VMEXIT; its code.
    ExitCode run_from(const char* label, std::uint32_t clean = clean::kAll) {
        put(vmcb::RIP, m.program[label]);
        put(vmcb::CLEAN, clean);
        const EntryResult entry = guest.vmrun();
        CAPTURE(std::string(entry.failure.demand));
        REQUIRE(entry.entered());
        put(vmcb::TLB_CONTROL, 0);
        run();
        return static_cast<ExitCode>(get(vmcb::EXITCODE));
    }

    svm::Guest guest{kControlBlock, m.core(), *this};
};

/// The ways to drop a guest's translations at VMRUN.
struct Invalidation {
    const char* name;
    void (*prepare)(SvmGuest&);
    std::uint32_t clean;
};
constexpr Invalidation kInvalidations[] = {
    {"flush all", [](SvmGuest& g) { g.put(vmcb::TLB_CONTROL, tlb_control::kFlushAll); },
     clean::kAll},
    {"flush this ASID", [](SvmGuest& g) { g.put(vmcb::TLB_CONTROL, tlb_control::kFlushAsid); },
     clean::kAll},
    {"another ASID", [](SvmGuest& g) { g.put(vmcb::GUEST_ASID, 2); }, clean::kAll & ~clean::kAsid},
};

}  // namespace

TEST_CASE("AMD-V: another page in a nested leaf is seen after the flush, not before, and alone") {
    for (const Invalidation& invalidation : kInvalidations) {
        CAPTURE(std::string(invalidation.name));
        SvmGuest g;
        REQUIRE(g.run_from("read_pages") == ExitCode::VMMCALL);
        CHECK(g.changed_pages() == 0);
        constexpr unsigned kChanged = 5;
        g.set_leaf(PAGES + kChanged * 0x1000, kOtherPage | kAll);
        REQUIRE(g.run_from("read_pages") == ExitCode::VMMCALL);
        CHECK(g.changed_pages() == 0);
        REQUIRE(g.run_from("read_pages", 0) == ExitCode::VMMCALL);  // no clean bit flushes
        CHECK(g.changed_pages() == 0);
        invalidation.prepare(g);
        REQUIRE(g.run_from("read_pages", invalidation.clean) == ExitCode::VMMCALL);
        CHECK(g.changed_pages() == 1 << kChanged);
        CHECK(g.m.result(kChanged) == kOtherMark);
        CHECK(g.m.peek(PAGES + kChanged * 0x1000) == mark(kChanged));
    }
}

TEST_CASE("AMD-V: an ASID that is marked clean is the old one") {
    SvmGuest g;
    REQUIRE(g.run_from("read_pages") == ExitCode::VMMCALL);
    g.set_leaf(PAGES, kOtherPage | kAll);
    g.put(vmcb::GUEST_ASID, 2);
    REQUIRE(g.run_from("read_pages", clean::kAll) == ExitCode::VMMCALL);
    CHECK(g.changed_pages() == 0);
    REQUIRE(g.run_from("read_pages", clean::kAll & ~clean::kAsid) == ExitCode::VMMCALL);
    CHECK(g.changed_pages() == 1);
}

TEST_CASE("AMD-V: a permission taken from a nested leaf makes #VMEXIT(NPF) after the flush") {
    // EXITINFO1 (APM 2 15.25.6): a page-fault error code of a user access, bit 32 the final
    // address.
    constexpr std::uint64_t kFinal = 1ull << 32, kFetch = 1 << 4;
    struct Row {
        const char* label;
        std::uint64_t address, clear, set, information;
    };
    static constexpr Row kRows[] = {
        {"write_page", PAGES + 0x1008, kWritable, 0, kPresent | kWritable | kUser},
        {"read_page", PAGES + 0x1010, kPresent, 0, kUser},
        {"read_page", PAGES + 0x1010, kUser, 0, kPresent | kUser},
        {"call_page", PAGES + 0x2008, 0, kNoExecute, kPresent | kUser | kFetch},
    };
    for (const Row& row : kRows) {
        CAPTURE(std::string(row.label));
        SvmGuest g;
        REQUIRE(g.run_from(row.label) == ExitCode::VMMCALL);
        const std::uint64_t before = g.leaf(row.address);
        g.set_leaf(row.address, (before & ~row.clear) | row.set);
        CHECK(g.run_from(row.label) == ExitCode::VMMCALL);
        g.put(vmcb::TLB_CONTROL, tlb_control::kFlushAsid);
        REQUIRE(g.run_from(row.label) == ExitCode::NPF);
        CHECK(g.get(vmcb::EXITINFO1) == (row.information | kFinal));
        CHECK(g.get(vmcb::EXITINFO2) == row.address);
        g.set_leaf(row.address, before);
        CHECK(g.run_from(row.label) == ExitCode::VMMCALL);
    }
}

TEST_CASE("AMD-V: an intercept bit flipped in the VMCB counts once its clean bit is clear") {
    constexpr std::uint64_t kMisc1 = kControlBlock + 0x00c;  // APM 2 table B-1
    constexpr std::uint32_t kCpuid = 1 << 18;
    SvmGuest g;
    REQUIRE(g.run_from("identify") == ExitCode::VMMCALL);
    CHECK(g.m.gpr(engine::kRbx) == 0x68747541);
    g.m.poke<std::uint32_t>(kMisc1, g.m.peek<std::uint32_t>(kMisc1) | kCpuid);
    CHECK(g.run_from("identify", clean::kAll) == ExitCode::VMMCALL);
    CHECK(g.run_from("identify", clean::kAll & ~clean::kPermissionMaps) == ExitCode::VMMCALL);
    REQUIRE(g.run_from("identify", clean::kAll & ~clean::kIntercepts) == ExitCode::CPUID);
    CHECK(g.get(vmcb::NRIP) == g.get(vmcb::RIP) + 2);
    g.m.poke<std::uint32_t>(kMisc1, g.m.peek<std::uint32_t>(kMisc1) & ~kCpuid);
    CHECK(g.run_from("identify", clean::kAll) == ExitCode::CPUID);
    CHECK(g.run_from("identify", clean::kAll & ~clean::kIntercepts) == ExitCode::VMMCALL);
}
