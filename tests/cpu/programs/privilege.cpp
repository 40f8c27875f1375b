// Levels of privilege: gates, privileged instructions, I/O permission, IRET outwards.
#include "tests/cpu/programs/bench.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::programs;

TEST_CASE("CPL 3 is kept from what it may not do, and IRET checks where it goes") {
    Machine m("privilege");
    m.bus.answers[0x87] = {0x5a};
    CHECK(m.run() == End::halted);
    std::vector<Fault> faults{
        {"closed_gate", kGP, 0x30 * 8 + 2},
        {"closed_int3", kGP, kBP * 8 + 2},
        {"empty_gate_user", kGP, 0x50 * 8 + 2},
    };
    for (const char* privileged :
         {"user_hlt",       "user_cli",     "user_sti",      "user_read_cr0", "user_write_cr3",
          "user_write_cr8", "user_read_dr", "user_write_dr", "user_clts",     "user_lmsw",
          "user_rdmsr",     "user_wrmsr",   "user_lgdt",     "user_lidt",     "user_lldt",
          "user_ltr",       "user_invlpg",  "user_invd",     "user_wbinvd",   "user_swapgs",
          "user_rdpmc"})
        faults.push_back({privileged, kGP});
    faults.insert(faults.end(), {
                                    {"user_kernel_code", kGP, CODE64},
                                    {"user_kernel_data", kGP, DATA_FLAT},
                                    {"user_kernel_stack", kGP, DATA_FLAT},
                                    {"user_null_stack", kGP},
                                });
    for (const char* port : {"port_denied", "port_denied_in", "port_partly_denied", "port_beyond",
                             "port_outside_bitmap", "port_last", "string_denied"})
        faults.push_back({port, kGP});
    // SDM 2A IRET; 64-bit mode.
    faults.insert(faults.end(), {
                                    {"iret_null_code", kGP},
                                    {"iret_null_code_rpl", kGP},
                                    {"iret_beyond", kGP, BEYOND_GDT},
                                    {"iret_data", kGP, DATA_FLAT},
                                    {"iret_absent_code", kNP, ABSENT_CODE},
                                    {"iret_code_dpl", kGP, CODE64},
                                    {"iret_stack_rpl", kGP, USER_DATA},
                                    {"iret_stack_dpl", kGP, DATA_FLAT},
                                    {"iret_stack_code", kGP, CODE64},
                                    {"iret_stack_read_only", kGP, READ_ONLY},
                                    {"iret_stack_absent", kSS, ABSENT_DATA},
                                    {"iret_null_stack", kGP},
                                    {"iret_nested", kGP},
                                    {"user_rdtsc", kGP},
                                    {"user_rdtscp", kGP},
                                });
    check_faults(m, faults);
    for (unsigned i = 0; i < 35; ++i) CHECK(m.event(i).cs == (USER_CODE64 | 3));
    CHECK(m.event(0).frame == KERNEL_STACK - 40);
    CHECK(m.event(40).cs == CODE64);

    CHECK(m.result(0) == 0);  // DS of DPL 0 becomes null on the way to CPL 3
    CHECK(m.result(1) == USER_DATA);
    CHECK((m.result(2) & 0xffff) == 0x33);  // CR0: PE, MP, ET, NE
    CHECK((m.result(3) & rflags::kIF) != 0);
    CHECK(m.peek<std::uint16_t>(DATA + 32) == GDT_LIMIT);
    CHECK(m.peek(DATA + 34) == GDT);
    CHECK(m.result(6) == 0);
    CHECK(m.result(7) == (rflags::kIOPL | rflags::kReserved1));
    using Access = RecordingBus::Access;
    const std::uint64_t al = m.bus.ports.empty() ? 0 : m.bus.ports[0].value;
    REQUIRE(m.bus.ports.size() == 3);
    CHECK(m.bus.ports[0] == Access{true, 0x80, 1, al});
    CHECK(m.bus.ports[1] == Access{false, 0x87, 1, 0x5a});
    CHECK(m.bus.ports[2].address == 0x81);
}
