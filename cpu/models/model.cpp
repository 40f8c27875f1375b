#include "cpu/models/model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace hvsim::cpu {
namespace {

// CPUID.1:ECX (SDM 2A table 3-10)
constexpr std::uint32_t kSse3 = 1u << 0, kPclmul = 1u << 1, kVmx = 1u << 5, kSsse3 = 1u << 9,
                        kCx16 = 1u << 13, kSse41 = 1u << 19, kSse42 = 1u << 20, kX2Apic = 1u << 21,
                        kMovbe = 1u << 22, kPopcnt = 1u << 23, kTscDeadline = 1u << 24,
                        kAes = 1u << 25, kXsave = 1u << 26, kOsxsave = 1u << 27;
// CPUID.1:EDX: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX
// FXSR SSE SSE2
constexpr std::uint32_t kBaseline1Edx = 0x078bfbff;
constexpr std::uint32_t kApic = 1u << 9, kHtt = 1u << 28;
constexpr std::uint32_t kCommon1Ecx =
    kSse3 | kPclmul | kSsse3 | kCx16 | kSse41 | kSse42 | kX2Apic | kMovbe | kPopcnt | kAes | kXsave;
// CPUID.7.0:EBX: FSGSBASE, SMEP, ERMS, SMAP. The rest (BMI, AVX2, INVPCID, RDSEED, ADX, ...) is
// left out: the engine either lacks it or would take its data from the host.
constexpr std::uint32_t kFsgsbase = 1u << 0, kSmep = 1u << 7, kErms = 1u << 9, kSmap = 1u << 20;
constexpr std::uint32_t kCommon7Ebx = kFsgsbase | kSmep | kErms | kSmap;
// CPUID.7.0:EDX: IBRS; IA32_ARCH_CAPABILITIES exists and says which side channels the processor has
// not.
constexpr std::uint32_t kArchCapabilities = 1u << 26 | 1u << 29;
// CPUID.80000001H: LAHF, SVM / SYSCALL, NX, 1 GiB pages, RDTSCP, LM
constexpr std::uint32_t kLahf = 1u << 0, kSvm = 1u << 2, kCr8Legacy = 1u << 4;
constexpr std::uint32_t kSyscall = 1u << 11, kNx = 1u << 20, kPage1G = 1u << 26, kRdtscp = 1u << 27,
                        kLongMode = 1u << 29;
constexpr std::uint32_t kCommonExtEdx = kSyscall | kNx | kPage1G | kRdtscp | kLongMode;
// AMD repeats CPUID.1:EDX in CPUID.80000001H:EDX (APM 3 E.4.2), less SEP, and CLFSH and up.
constexpr std::uint32_t kAmdExtEdx =
    kCommonExtEdx | (kBaseline1Edx & 0x0183f3ff) | (1u << 23) | (1u << 24);

/// CPUID.8000000AH:EDX (APM 3 E.4.9), what works of it.
namespace svm_features {
constexpr std::uint32_t kNestedPaging = 1u << 0, kLastBranches = 1u << 1, kLock = 1u << 2,
                        kNextRip = 1u << 3, kTscRate = 1u << 4, kCleanBits = 1u << 5,
                        kFlushByAsid = 1u << 6, kDecodeAssists = 1u << 7, kPauseFilter = 1u << 10,
                        kPauseFilterThreshold = 1u << 12, kAvic = 1u << 13,
                        kVirtualVmload = 1u << 15, kVirtualGif = 1u << 16, kExecuteTrap = 1u << 17,
                        kX2avic = 1u << 18, kVirtualNmi = 1u << 25;
constexpr std::uint32_t kZen1 = kNestedPaging | kLastBranches | kLock | kNextRip | kTscRate |
                                kCleanBits | kFlushByAsid | kDecodeAssists | kPauseFilter |
                                kPauseFilterThreshold | kVirtualVmload | kVirtualGif;
constexpr std::uint32_t kZen2 = kZen1 | kExecuteTrap;
constexpr std::uint32_t kZen4 = kZen2 | kVirtualNmi;
}  // namespace svm_features

constexpr std::uint32_t kRdrand = 1u << 30;  // CPUID.1:ECX

constexpr std::array kModels{
    Model{"intel-broadwell", Vendor::intel, "Intel(R) Xeon(R) CPU E5-2673 v4 @ 2.30GHz", 0x000406f1,
          46, 48, 0, kCommon1Ecx | kVmx | kTscDeadline, kBaseline1Edx, kCommon7Ebx, 0, 0, kLahf,
          kCommonExtEdx},
    Model{"intel-skylake", Vendor::intel, "Intel(R) Xeon(R) Platinum 8171M CPU @ 2.60GHz",
          0x00050654, 46, 48, 25'000'000, kCommon1Ecx | kVmx | kTscDeadline, kBaseline1Edx,
          kCommon7Ebx, 0, 0, kLahf, kCommonExtEdx},
    Model{"intel-cascadelake", Vendor::intel, "Intel(R) Xeon(R) Platinum 8272CL CPU @ 2.60GHz",
          0x00050657, 46, 48, 25'000'000, kCommon1Ecx | kVmx | kTscDeadline, kBaseline1Edx,
          kCommon7Ebx, 0, kArchCapabilities, kLahf, kCommonExtEdx},
    Model{"intel-icelake", Vendor::intel, "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz",
          0x000606a6, 46, 48, 25'000'000, kCommon1Ecx | kVmx | kTscDeadline, kBaseline1Edx,
          kCommon7Ebx, 0, kArchCapabilities, kLahf, kCommonExtEdx},
    Model{"amd-naples", Vendor::amd, "AMD EPYC 7551 32-Core Processor", 0x00800f12, 48, 48, 0,
          kCommon1Ecx | kRdrand, kBaseline1Edx, kCommon7Ebx, 0, 0, kLahf | kSvm | kCr8Legacy,
          kAmdExtEdx, svm_features::kZen1 | svm_features::kAvic},
    Model{"amd-rome", Vendor::amd, "AMD EPYC 7452 32-Core Processor", 0x00830f10, 48, 48, 0,
          kCommon1Ecx | kRdrand, kBaseline1Edx, kCommon7Ebx, 0, 0, kLahf | kSvm | kCr8Legacy,
          kAmdExtEdx, svm_features::kZen2 | svm_features::kAvic},
    Model{"amd-milan", Vendor::amd, "AMD EPYC 7763 64-Core Processor", 0x00a00f11, 48, 48, 0,
          kCommon1Ecx | kRdrand, kBaseline1Edx, kCommon7Ebx, 0, 0, kLahf | kSvm | kCr8Legacy,
          kAmdExtEdx, svm_features::kZen2},
    Model{"amd-genoa", Vendor::amd, "AMD EPYC 9654 96-Core Processor", 0x00a10f11, 52, 48, 0,
          kCommon1Ecx | kRdrand, kBaseline1Edx, kCommon7Ebx, 0, 0, kLahf | kSvm | kCr8Legacy,
          kAmdExtEdx, svm_features::kZen4 | svm_features::kAvic | svm_features::kX2avic},
};

constexpr std::uint32_t kMaxExtendedIntel = 0x80000008, kMaxExtendedAmd = 0x8000000a;

CpuidResult vendor_leaf(Vendor vendor, std::uint32_t maximum) {
    return vendor == Vendor::intel ? CpuidResult{maximum, 0x756e6547, 0x6c65746e, 0x49656e69}
                                   : CpuidResult{maximum, 0x68747541, 0x444d4163, 0x69746e65};
}

std::uint32_t max_basic_leaf(const Model& model) {
    return model.crystal_hz != 0 ? 0x16 : 0xd;
}

CpuidResult features(const Model& model, const CpuidContext& context) {
    std::uint32_t ecx = model.features_1_ecx, edx = model.features_1_edx;
    if (context.osxsave) ecx |= kOsxsave;
    if (!context.virtualization) ecx &= ~kVmx;
    if (!context.apic_enabled) edx &= ~kApic;
    if (context.processor_count > 1) edx |= kHtt;
    const std::uint32_t logical = std::min(std::bit_ceil(context.processor_count), 255u);
    constexpr std::uint32_t kClflushQuadwords = 8;
    return {model.signature,
            (context.apic_id & 0xff) << 24 | logical << 16 | kClflushQuadwords << 8, ecx, edx};
}

/// One package of single-threaded cores, caches of 32 KiB, 32 KiB, 1 MiB and 32 MiB, 64-byte lines.
CpuidResult cache_parameters(const CpuidContext& context, std::uint32_t subleaf) {
    struct Cache {
        std::uint32_t type, level, ways, sets;
        bool shared;
    };
    static constexpr std::array<Cache, 4> kCaches{{{1, 1, 8, 64, false},
                                                   {2, 1, 8, 64, false},
                                                   {3, 2, 16, 1024, false},
                                                   {3, 3, 16, 32768, true}}};
    if (subleaf >= kCaches.size()) return {};
    const Cache& cache = kCaches[subleaf];
    const std::uint32_t cores = std::bit_ceil(context.processor_count);
    const std::uint32_t sharing = cache.shared ? cores - 1 : 0;
    return {
        cache.type | cache.level << 5 | 1u << 8 | sharing << 14 | std::min(cores - 1, 63u) << 26,
        (cache.ways - 1) << 22 | 63, cache.sets - 1, 0};
}

CpuidResult topology(const CpuidContext& context, std::uint32_t subleaf) {
    const auto bits = static_cast<std::uint32_t>(std::bit_width(context.processor_count - 1));
    if (subleaf == 0) return {0, 1, 1u << 8 | subleaf, context.apic_id};
    if (subleaf == 1) return {bits, context.processor_count, 2u << 8 | subleaf, context.apic_id};
    return {0, 0, subleaf & 0xff, context.apic_id};
}

/// x87 and SSE state, XSAVEOPT absent (SDM 1 13.2).
CpuidResult xsave_state(std::uint32_t subleaf) {
    constexpr std::uint32_t kLegacyAndHeader = 576;
    if (subleaf == 0) return {3, kLegacyAndHeader, kLegacyAndHeader, 0};
    return {};
}

CpuidResult brand(const Model& model, std::uint32_t part) {
    std::array<char, 48> text{};
    std::copy(model.brand.begin(), model.brand.end(), text.begin());
    CpuidResult result;
    std::memcpy(&result.eax, text.data() + part * 16, 4);
    std::memcpy(&result.ebx, text.data() + part * 16 + 4, 4);
    std::memcpy(&result.ecx, text.data() + part * 16 + 8, 4);
    std::memcpy(&result.edx, text.data() + part * 16 + 12, 4);
    return result;
}

CpuidResult extended(const Model& model, const CpuidContext& context, std::uint32_t leaf) {
    const bool amd = model.vendor == Vendor::amd;
    switch (leaf) {
        case 0x80000000:
            return amd ? vendor_leaf(Vendor::amd, kMaxExtendedAmd)
                       : CpuidResult{kMaxExtendedIntel, 0, 0, 0};
        case 0x80000001: {
            std::uint32_t ecx = model.features_ext1_ecx, edx = model.features_ext1_edx;
            if (!context.virtualization) ecx &= ~kSvm;
            if (!context.nx) edx &= ~kNx;
            return {amd ? model.signature : 0, 0, ecx, edx};
        }
        case 0x80000002:
        case 0x80000003:
        case 0x80000004:
            return brand(model, leaf - 0x80000002);
        case 0x80000005:  // L1: 32 KiB, 8-way, 64-byte lines
            return amd ? CpuidResult{0, 0, 32u << 24 | 8u << 16 | 1u << 8 | 64,
                                     32u << 24 | 8u << 16 | 1u << 8 | 64}
                       : CpuidResult{};
        case 0x80000006:
            return {0, 0, 1024u << 16 | 6u << 12 | 64, 0};
        case 0x80000007:
            return {0, 0, 0, 1u << 8};  // invariant TSC
        case 0x80000008: {
            const std::uint32_t address = model.physical_address_bits | model.linear_address_bits
                                                                            << 8;
            if (!amd) return {address, 0, 0, 0};
            const auto id_bits =
                static_cast<std::uint32_t>(std::bit_width(context.processor_count - 1));
            return {address, 0, (context.processor_count - 1) | id_bits << 12, 0};
        }
        case 0x8000000a:  // APM 3 E.4.9
            if (!amd || !context.virtualization) return {};
            return {1, 0x8000, 0,
                    model.svm_features & ~(context.slat ? 0 : svm_features::kNestedPaging)};
        default:
            return {};
    }
}

CpuidResult basic(const Model& model, const CpuidContext& context, std::uint32_t leaf,
                  std::uint32_t subleaf) {
    const bool intel = model.vendor == Vendor::intel;
    switch (leaf) {
        case 0:
            return vendor_leaf(model.vendor, max_basic_leaf(model));
        case 1:
            return features(model, context);
        case 2:
            return intel ? CpuidResult{0x00feff01, 0, 0, 0} : CpuidResult{};
        case 4:
            return intel ? cache_parameters(context, subleaf) : CpuidResult{};
        case 7:
            return subleaf == 0 ? CpuidResult{0, model.features_7_ebx, model.features_7_ecx,
                                              model.features_7_edx}
                                : CpuidResult{};
        case 0xb:
            return topology(context, subleaf);
        case 0xd:
            return xsave_state(subleaf);
        case 0x15:  // TSC = crystal * EBX / EAX, exactly
            return {static_cast<std::uint32_t>(model.crystal_hz / 1'000'000),
                    static_cast<std::uint32_t>(context.tsc_hz / 1'000'000),
                    static_cast<std::uint32_t>(model.crystal_hz), 0};
        case 0x16: {
            const auto mhz = static_cast<std::uint32_t>(context.tsc_hz / 1'000'000);
            return {mhz, mhz, static_cast<std::uint32_t>(model.crystal_hz / 1'000'000), 0};
        }
        default:
            return {};
    }
}

}  // namespace

CpuidResult cpuid(const Model& model, const CpuidContext& context, std::uint32_t leaf,
                  std::uint32_t subleaf) {
    const std::uint32_t max_extended =
        model.vendor == Vendor::amd ? kMaxExtendedAmd : kMaxExtendedIntel;
    if (leaf >= 0x80000000 && leaf <= max_extended) return extended(model, context, leaf);
    const std::uint32_t max_basic = max_basic_leaf(model);
    if (leaf <= max_basic) return basic(model, context, leaf, subleaf);
    // SDM 2A CPUID: beyond the maximum, the data of the highest basic leaf; APM 3: zeros.
    if (model.vendor == Vendor::intel) return basic(model, context, max_basic, subleaf);
    return {};
}

std::span<const Model> models() {
    return kModels;
}

const Model* find_model(std::string_view name) {
    for (const Model& model : kModels)
        if (model.name == name) return &model;
    return nullptr;
}

}  // namespace hvsim::cpu
