#pragma once
// AMD's server processors, oldest first. Signatures and brand strings: CPUID dumps of the
// processors named; features by generation: AMD's Processor Programming References of families 17h
// and 19h.
#include <array>

#include "cpu/models/features.h"
#include "cpu/models/model.h"

namespace hvsim::cpu {

/// What all of them have.
constexpr Model amd_model() {
    using namespace features;  // NOLINT: the bits' names
    Model model;
    model.vendor = Vendor::amd;
    model.physical_address_bits = 48;
    model.linear_address_bits = 48;
    model.machine_check_banks = 23;
    model.features_1_ecx = kCommon1Ecx | kRdrand;
    model.features_1_edx = kBaseline1Edx;
    model.features_7_ebx = kCommon7Ebx;
    model.features_ext1_ecx = kLahf | kSvm | kCr8Legacy;
    model.features_ext1_edx = kAmdExtEdx;
    model.svm_features = svm::kZen1;
    return model;
}

inline constexpr std::array kAmdModels{
    // EPYC 7001, 2017
    [] {
        Model model = amd_model();
        model.name = "amd-naples";
        model.timing_profile = "amd-naples";
        model.brand = "AMD EPYC 7551 32-Core Processor";
        model.signature = 0x00800f12;
        model.svm_features = features::svm::kZen1 | features::svm::kAvic;
        return model;
    }(),
    // EPYC 7002, 2019
    [] {
        Model model = amd_model();
        model.name = "amd-rome";
        model.timing_profile = "amd-rome";
        model.brand = "AMD EPYC 7452 32-Core Processor";
        model.signature = 0x00830f10;
        model.features_7_ecx = features::kUmip;
        model.svm_features = features::svm::kZen2 | features::svm::kAvic;
        return model;
    }(),
    // EPYC 7003, 2021: the first with PCIDs
    [] {
        Model model = amd_model();
        model.name = "amd-milan";
        model.timing_profile = "amd-milan";
        model.brand = "AMD EPYC 7763 64-Core Processor";
        model.signature = 0x00a00f11;
        model.features_1_ecx |= features::kPcid;
        model.features_7_ebx |= features::kInvpcid;
        model.features_7_ecx = features::kUmip;
        model.svm_features = features::svm::kZen2;
        return model;
    }(),
    // EPYC 9004, 2022: 52 address bits
    [] {
        Model model = amd_model();
        model.name = "amd-genoa";
        model.timing_profile = "amd-genoa";
        model.brand = "AMD EPYC 9654 96-Core Processor";
        model.signature = 0x00a10f11;
        model.features_1_ecx |= features::kPcid;
        model.features_7_ebx |= features::kInvpcid;
        model.features_7_ecx = features::kUmip;
        model.physical_address_bits = 52;
        model.svm_features =
            features::svm::kZen4 | features::svm::kAvic | features::svm::kX2avic;
        return model;
    }(),
};

}  // namespace hvsim::cpu
