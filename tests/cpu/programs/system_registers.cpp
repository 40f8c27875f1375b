// Control registers, MSRs, CPUID, counters, debug registers.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("system registers refuse reserved bits and keep the rest") {
    Options options;
    options.timing.clock_ps_per_code_byte = 100;
    options.timing.clock_tsc_hz = 10'000'000'000;  // a tick a code byte
    Machine m("system_registers", options);
    CHECK(m.run() == End::halted);
    std::vector<Fault> faults;
    for (const char* refused :
         {"cr0_high", "cr0_paging_alone", "cr0_nw_alone", "cr0_no_paging_in_64",
          "cr3_beyond_memory", "cr3_bit_63", "cr4_no_pae", "cr4_reserved", "cr4_high", "cr4_la57",
          "cr4_pcid", "cr8_wide"})
        faults.push_back({refused, kGP});
    faults.push_back({"cr1", kUD});
    faults.push_back({"cr5", kUD});
    for (const char* refused :
         {"rdmsr_unknown", "wrmsr_unknown", "efer_reserved", "efer_no_lme", "pat_type", "mtrr_type",
          "mtrr_capabilities", "apic_base_reserved", "apic_x2_without_enable",
          "x2apic_in_xapic_mode", "x2apic_write_only", "x2apic_reserved", "xcr0_without_x87",
          "xcr0_unknown", "xcr1", "dr6_high", "dr7_high"})
        faults.push_back({refused, kGP});
    faults.push_back({"dr4_extended", kUD});
    faults.push_back({"general_detect", kDB});
    check_faults(m, faults);

    CHECK(m.result(0) == 0x80050033);
    CHECK(m.result(1) == 0x80010031);
    CHECK(m.result(2) == PML4 + 0x18);
    CHECK(m.result(3) == 0x6a0);
    CHECK(m.result(4) == 9);
    CHECK((m.result(5) & 0xffffffff) == 0xd01);
    CHECK(m.result(6) == 0x1234);
    CHECK(m.result(7) == 0xffff8000);
    const Model& model = m.core().model();
    CHECK(m.result(8) == 0x16);
    CHECK(m.result(9) == 0x756e6547);
    CHECK(m.result(10) == model.signature);
    constexpr std::uint64_t kOsxsave = 1 << 27;
    CHECK(m.result(11) == model.features_1_ecx);
    CHECK(m.result(12) == (model.features_1_ecx | kOsxsave));
    CHECK(m.result(13) == 3);
    CHECK(m.result(14) == 0x55);
    // The first RDTSC's own bytes, MOV and LOOP: 2 + 3 + 5 + 100 * 2.
    CHECK(m.result(15) == 210);
    CHECK(m.result(16) < 100);
    CHECK(m.result(17) == 0x50);
    CHECK(m.result(18) == 0x4f);
    CHECK(m.result(19) == 0x1234567890);
    CHECK(m.result(20) == 0xffff0ff0);
    CHECK(m.result(21) == 0x07ff);
    CHECK(m.result(22) == 0xffff0fff);
    CHECK(m.result(23) == (0xffff0ff0 | 1 << 13));
    CHECK(m.result(24) == 0x400);
}
